import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { share } from '#engine/store/mongo/placement.ts';

for (const { name, members = ['a', 'b', 'c'], me, names = ['1', '2', '3', '4', '5'], owners, release = [], take = [] } of [
  { name: 'the first alone takes all', members: ['a'], me: 'a', owners: {}, take: ['1', '2', '3', '4', '5'] },
  { name: 'all at once: each its own part', me: 'b', owners: {}, take: ['3', '4'] },
  { name: 'the last has one less', me: 'c', owners: {}, take: ['5'] },
  { name: 'who has too many gives', members: ['a', 'b'], me: 'a', owners: { 1: 'a', 2: 'a', 3: 'a', 4: 'a', 5: 'a' }, release: ['4', '5'] },
  { name: 'nothing is free yet', members: ['a', 'b'], me: 'b', owners: { 1: 'a', 2: 'a', 3: 'a', 4: 'a', 5: 'a' } },
  { name: 'what is at somebody who is no member is not free', members: ['a'], me: 'a', owners: { 1: 'dead', 2: 'dead' }, take: ['3', '4', '5'] },
  { name: 'what is on its way counts for nobody', members: ['a', 'b'], me: 'a', owners: { 1: 'a', 2: 'a', 3: 'a', 4: '', 5: '' } },
  { name: 'what has vanished is given away', members: ['a', 'b'], me: 'a', names: ['1'], owners: { 1: 'a', x: 'a' }, release: ['x'] },
  { name: 'who leaves gives all and takes nothing', members: ['b'], me: 'a', owners: { 1: 'a', 2: 'b' }, release: ['1'] },
  { name: 'fewer names than members', me: 'c', names: ['1', '2'], owners: {} },
  { name: 'a name given twice counts once', members: ['a'], me: 'a', names: ['1', '1'], owners: {}, take: ['1'] },
])
  test(`placement: ${name}`, () => assert.deepEqual(share({ members, me, names, owners: new Map(Object.entries(owners)) }), { release, take }));

/** Processes that join, leave and die around names that come and go; each acts on what it has seen last, and the leases decide. */
class Model {
  members: string[] = [];
  names: string[] = [];
  readonly owners = new Map<string, string>();
  readonly views = new Map<string, { members: string[]; names: string[]; owners: Map<string, string> }>();
  given = 0;
  private number = 0;

  join(): void {
    this.members.push(`m${String(++this.number)}`);
  }

  leave(which: number): void {
    if (this.members.length < 2) return;
    const [gone] = this.members.splice(which % this.members.length, 1);
    this.views.delete(gone!);
    for (const [name, owner] of this.owners) if (owner === gone) this.owners.delete(name);
  }

  appear(): void {
    this.names.push(`n${String(++this.number)}`);
  }

  vanish(which: number): void {
    if (this.names.length > 0) this.names.splice(which % this.names.length, 1);
  }

  look(me: string): void {
    this.views.set(me, { members: [...this.members], names: [...this.names], owners: new Map(this.owners) });
  }

  /** On what it saw last, however old; of its own it knows what it has. */
  act(me: string): void {
    const view = this.views.get(me);
    if (!view) return;
    for (const [name, owner] of view.owners) if (owner === me && this.owners.get(name) !== me) view.owners.set(name, '');
    for (const [name, owner] of this.owners) if (owner === me) view.owners.set(name, me);
    const { release, take } = share({ ...view, me });
    for (const name of release) {
      assert.equal(this.owners.get(name), me);
      this.owners.delete(name);
      if (this.names.includes(name)) this.given++;
    }
    for (const name of take) if (!this.owners.has(name)) this.owners.set(name, me);
  }

  round(): void {
    for (const me of this.members) this.look(me);
    for (const me of this.members) this.act(me);
  }

  counts(): number[] {
    return this.members.map((member) => [...this.owners].filter(([name, owner]) => owner === member && this.names.includes(name)).length);
  }

  /** How many have to move for an even spread, whoever has one more. */
  leastMoves(): number {
    const counts = this.counts().sort((a, b) => b - a);
    const floor = Math.floor(this.names.length / counts.length);
    const more = this.names.length % counts.length;
    return counts.reduce((sum, count, rank) => sum + Math.max(0, count - floor - (rank < more ? 1 : 0)), 0);
  }

  check(): void {
    const counts = this.counts();
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `even: ${counts}`);
    assert.deepEqual([...this.owners.keys()].sort(), [...this.names].sort(), 'each has a holder, and nothing else has');
  }
}

const event = fc.oneof(
  fc.record({ kind: fc.constant('join' as const) }),
  fc.record({ kind: fc.constantFrom('leave' as const, 'vanish' as const), which: fc.nat(100) }),
  fc.record({ kind: fc.constant('appear' as const) }),
);
type Event = { kind: 'join' | 'appear' } | { kind: 'leave' | 'vanish'; which: number };
const happen = (model: Model, what: Event): void => {
  if ('which' in what) model[what.kind](what.which);
  else model[what.kind]();
};

test('placement: after each change two rounds make it even, with hardly more moves than there must be', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), fc.nat(40), (events, names) => {
      const model = new Model();
      model.join();
      for (let name = 0; name < names; name++) model.appear();
      model.round();
      model.check();
      for (const what of events) {
        happen(model, what as Event);
        const least = model.leastMoves();
        model.given = 0;
        model.round();
        model.round();
        model.check();
        // Who joins or goes moves nothing but its own share; names that vanish may shift which of the members have one more.
        const slack = what.kind === 'vanish' ? model.members.length : 0;
        assert.ok(model.given <= least + slack, `${what.kind}: ${model.given} moved, ${least} had to`);
      }
    }),
    { numRuns: 200 },
  );
});

test('placement: whatever is done on old facts, a name never has two holders, and two rounds on new ones make it even', () => {
  const turn = fc.oneof(
    { weight: 1, arbitrary: event.map((what) => ({ what: what as Event | null, who: 0, look: false })) },
    { weight: 4, arbitrary: fc.record({ what: fc.constant(null), who: fc.nat(100), look: fc.boolean() }) },
  );
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 120 }), fc.nat(40), (turns, names) => {
      const model = new Model();
      model.join();
      for (let name = 0; name < names; name++) model.appear();
      for (const { what, who, look } of turns) {
        const me = model.members[who % model.members.length]!;
        if (what) happen(model, what);
        else if (look) model.look(me);
        else model.act(me);
      }
      model.round();
      model.round();
      model.check();
    }),
    { numRuns: 200 },
  );
});
