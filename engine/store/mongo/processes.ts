import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Collection, MongoClient } from 'mongodb';
import type { Cluster, Holder, Lease, Placed, ProcessInfo, Role } from '#engine/cluster.ts';
import { Timeout } from '#engine/errors.ts';
import type { Bus } from '#engine/queue/bullmq/bus.ts';
import { type BurialHooks, bury, inTransaction } from './burial.ts';
import { type LeaseDoc, SLOTS, slotLease } from './committer.ts';
import { isUnavailable } from './errors.ts';
import { Holding } from './leases.ts';
import { Roster } from './roster.ts';
import { type Sleep, sleep, Turns } from './turns.ts';

/** `processes`: who is there, as each says of itself. */
export interface ProcessDoc {
  /** Member id: of one membership, which ends when the process goes or is given up. */
  readonly _id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly roles: readonly Role[];
  /** What it takes a share of now. */
  readonly kinds: readonly Placed[];
  readonly startedAt: number;
  readonly joinedAt: number;
  readonly beat: number;
  readonly state: 'alive' | 'dead';
  /** Who buries it. */
  readonly by: string | null;
  /** JSON: `[['integration:ID', {…}], …]`. */
  readonly notes: string;
  /** Beat at which the notes changed last. */
  readonly noted: number;
  readonly lagMs: number;
}

export interface ClusterOptions {
  readonly client: MongoClient;
  readonly processes: Collection<ProcessDoc>;
  readonly leases: Collection<LeaseDoc>;
  readonly bus: Bus;
  readonly roles: readonly Role[];
  readonly version: string;
  readonly hooks: BurialHooks;
  /** May a process of this version still take part? Asked after it has joined and before it works. @throws Error when not. */
  readonly admit?: () => Promise<void>;
  /** Unix ms, for people and for the order of joining. */
  readonly now?: () => number;
  /** A clock that only goes forward, ms: all judgement is by it. */
  readonly elapsed?: () => number;
  readonly sleep?: Sleep;
  readonly beatMs?: number;
  /** So long without a sign of life, and others take over; our own leases count for nothing after it. */
  readonly giveUpMs?: number;
  readonly onPoint?: (name: string) => void;
  /** What no server that is away explains. */
  readonly onProblem?: (cause: unknown) => void;
}

const KIND_ROLE: Readonly<Record<Placed, Role>> = { lane: 'rules', integration: 'integrations' };
const WAKE = 'cluster.look';

/** Joins, and resolves when it has. @throws MongoError */
export async function openCluster(options: ClusterOptions): Promise<Members> {
  const members = new Members(options);
  await members.open();
  return members;
}

/**
 * The processes of an installation, by what they write in MongoDB once a second. What one of them may do is decided there and nowhere else: by its own document,
 * its slot leases (`committer.ts`) and the leases that it holds. Words over Redis only make it quicker.
 */
export class Members implements Cluster {
  readonly roles: ReadonlySet<Role>;
  readonly shared = true;
  private readonly options: Required<ClusterOptions>;
  private readonly startedAt: number;
  private readonly roster: Roster;
  private readonly holders = new Map<Placed, Holder>();
  private readonly holdings = new Map<Placed, Holding>();
  private readonly notes = new Map<string, string>();
  private readonly burials = new Set<string>();
  private member = '';
  private joinedAt = 0;
  /** False: not joined yet, or given up by the others. */
  private belongs = false;
  /** When the last beat that succeeded was sent. */
  private beatenAt = Number.NEGATIVE_INFINITY;
  private beat = 0;
  private notesChanged = false;
  private leaving = false;
  private lag = () => 0;
  private placing: Promise<void> = Promise.resolve();
  private turns: Turns | null = null;
  private unsubscribe: () => void = () => {};

  constructor(options: ClusterOptions) {
    const { now = Date.now, elapsed = () => performance.now(), beatMs = 1000, giveUpMs = 5000, onPoint = () => {}, onProblem = () => {} } = options;
    const { admit = async () => {} } = options;
    this.options = { ...options, admit, sleep: options.sleep ?? sleep, now, elapsed, beatMs, giveUpMs, onPoint, onProblem };
    this.roles = new Set(options.roles);
    this.startedAt = this.options.now();
    const { processes, leases } = options;
    this.roster = new Roster({ processes, leases, giveUpMs, gapMs: 2 * beatMs, elapsed, answered: (promise) => this.answered(promise) });
  }

  /** For `openCluster`. */
  async open(): Promise<void> {
    await this.join();
    await this.roster.look();
    this.unsubscribe = this.options.bus.subscribe(WAKE, (_, from) => {
      if (from !== this.member) this.turns?.wake();
    });
    const { beatMs: everyMs, elapsed, sleep } = this.options;
    this.turns = new Turns({ turn: () => this.turn().catch((cause) => this.problem(cause)), everyMs, elapsed, sleep });
  }

  id(): string {
    return this.member;
  }

  hold(kind: Placed, holder: Holder): void {
    if (!this.roles.has(KIND_ROLE[kind])) return;
    this.holders.set(kind, holder);
    this.holdings.set(kind, this.holding(kind, holder));
    this.turns?.wake();
  }

  refresh(_kind: Placed): void {
    this.turns?.wake();
  }

  /** Null: it is not ours, or not surely. What it allows may still be refused (`Fenced`), never the other way round. */
  leaseOf(kind: Placed, name: string): Lease | null {
    return this.isSure() ? (this.holdings.get(kind)?.lease(name) ?? null) : null;
  }

  holderOf(kind: Placed, name: string): { readonly processId: string; readonly self: boolean } | null {
    if (this.leaseOf(kind, name)) return { processId: this.member, self: true };
    const owner = this.roster.ownerOf(`${kind}:${name}`);
    return owner !== null && owner !== this.member && this.roster.lives(owner) ? { processId: owner, self: false } : null;
  }

  note(kind: Placed, name: string, note: object): void {
    const text = JSON.stringify(note);
    if (this.notes.get(`${kind}:${name}`) === text) return;
    this.notes.set(`${kind}:${name}`, text);
    this.notesChanged = true;
    this.turns?.wake();
  }

  noteOf(kind: Placed, name: string): object | null {
    const holder = this.holderOf(kind, name);
    if (!holder) return null;
    const key = `${kind}:${name}`;
    if (!holder.self) return this.roster.noteOf(holder.processId, key);
    const own = this.notes.get(key);
    return own === undefined ? null : JSON.parse(own);
  }

  async processes(): Promise<ProcessInfo[]> {
    const { leases, processes } = this.roster;
    const held = (id: string, kind: Placed): string[] =>
      leases.filter(({ _id, owner }) => owner === id && _id.startsWith(`${kind}:`)).map(({ _id }) => _id.slice(kind.length + 1));
    const own = (kind: Placed): string[] => this.holdings.get(kind)?.names() ?? [];
    return processes.map(({ _id: id, host, pid, version, roles, startedAt, lagMs }) => ({
      id,
      host,
      pid,
      version,
      roles,
      startedAt,
      lanes: (id === this.member ? own('lane') : held(id, 'lane')).map(Number).sort((a, b) => a - b),
      integrations: (id === this.member ? own('integration') : held(id, 'integration')).sort(),
      lagMs: id === this.member ? this.lag() : lagMs,
      silentMs: Math.round(id === this.member ? this.options.elapsed() - this.beatenAt : this.roster.silentMs(id)),
    }));
  }

  publish(topic: string, data: unknown): void {
    this.options.bus.publish(topic, data, this.member);
  }

  subscribe(topic: string, listener: (data: unknown, fromProcessId: string) => void): () => void {
    return this.options.bus.subscribe(topic, listener);
  }

  describe(lagMs: () => number): void {
    this.lag = lagMs;
  }

  /** The committer was refused by our own lease: we look at once whether we were given up. */
  onFenced(): void {
    this.turns?.wake();
  }

  /**
   * Gives everything that it holds to the others, and takes nothing more; it may still commit. Resolves when nothing of it is under way, and the leases are free or
   * MongoDB does not let us.
   */
  async leave(): Promise<void> {
    this.leaving = true;
    this.turns?.wake();
    await this.placing.catch(() => {}); // What it has taken in vain is in the next look of the others.
    const going = [...this.holdings.values()].map((holding) => holding.leave());
    await Promise.all(going.map(({ ended }) => ended));
    await this.within(Promise.all(going.map(({ free }) => free)), this.options.giveUpMs).catch((cause) => this.problem(cause));
  }

  /** After `leave`, when nothing is to be committed any more. */
  async close(): Promise<void> {
    await this.leave();
    await this.turns?.end();
    this.unsubscribe();
    try {
      const seen = { _id: this.member, state: 'alive', beat: this.beat, by: null } as const;
      if (this.belongs) await this.within(bury(this.burial(), seen, this.member), 2 * this.options.giveUpMs);
      this.publish(WAKE, null);
    } catch (cause) {
      // The others find that we are gone.
      this.problem(cause);
    }
    await this.abandon();
  }

  private isSure(): boolean {
    return this.belongs && this.options.elapsed() - this.beatenAt < this.options.giveUpMs;
  }

  private async turn(): Promise<void> {
    if (this.belongs && (await this.showLife())) await this.roster.look();
    else this.belongs = false;
    if (!this.belongs || !this.hasSlots()) {
      this.belongs = false;
      // What was ours is at others by now, or will be: all of it ends here before anything is taken anew.
      await this.abandon();
      await this.join();
      await this.roster.look();
    }
    this.buryTheDead();
    await this.place();
  }

  private problem(cause: unknown): void {
    if (!(isUnavailable(cause) || cause instanceof Timeout)) this.options.onProblem(cause);
  }

  private async abandon(): Promise<void> {
    await Promise.all([...this.holdings.values()].map((holding) => holding.abandon()));
  }

  private async join(): Promise<void> {
    const { client, processes, leases, roles, version, now, elapsed } = this.options;
    const member = randomBytes(6).toString('hex');
    const at = elapsed();
    this.joinedAt = now();
    const doc: ProcessDoc = {
      _id: member,
      host: hostname(),
      pid: process.pid,
      version,
      roles: [...roles],
      kinds: this.kinds(),
      startedAt: this.startedAt,
      joinedAt: this.joinedAt,
      beat: 0,
      state: 'alive',
      by: null,
      notes: '[]',
      noted: 0,
      lagMs: 0,
    };
    const slots = Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease(member, slot), owner: member, epoch: 1 }));
    // Together: who has slot leases can be given up.
    await this.answered(
      inTransaction(client, async (session) => {
        await processes.insertOne(doc, { session });
        await leases.insertMany(slots, { session });
      }),
    );
    // Behind it: whoever changes the schema for a newer version either finds our leases, or is found.
    await this.answered(this.options.admit());
    this.member = member;
    this.beat = 0;
    this.beatenAt = at;
    this.notesChanged = this.notes.size > 0;
    for (const [kind, holder] of this.holders) this.holdings.set(kind, this.holding(kind, holder));
    this.belongs = true;
    this.publish(WAKE, null);
  }

  /** False: we were given up. */
  private async showLife(): Promise<boolean> {
    const { processes, elapsed } = this.options;
    const at = elapsed();
    const beat = this.beat + 1;
    this.beat = beat;
    const notes = this.notesChanged ? this.heldNotes() : null;
    this.notesChanged = false;
    try {
      const said = { beat, lagMs: this.lag(), kinds: this.kinds(), ...(notes ? { notes: JSON.stringify(notes), noted: beat } : {}) };
      const { matchedCount } = await this.answered(processes.updateOne({ _id: this.member, state: 'alive' }, { $set: said }));
      if (matchedCount === 0) return false;
    } catch (cause) {
      this.notesChanged ||= notes !== null;
      throw cause;
    }
    this.beatenAt = at;
    if (notes) this.publish(WAKE, null);
    return true;
  }

  /** Of what it does not hold any more it has nothing to tell. */
  private heldNotes(): [string, object][] {
    const held = new Set([...this.holdings.values()].flatMap((holding) => holding.names().map((name) => `${holding.kind}:${name}`)));
    for (const key of this.notes.keys()) if (!held.has(key)) this.notes.delete(key);
    return [...this.notes].map(([key, text]) => [key, JSON.parse(text)]);
  }

  private hasSlots(): boolean {
    return Array.from({ length: SLOTS }, (_, slot) => slotLease(this.member, slot)).every((id) => this.roster.ownerOf(id) === this.member);
  }

  private buryTheDead(): void {
    const { giveUpMs } = this.options;
    for (const seen of this.roster.processes) {
      const { _id: id, state, by } = seen;
      if (id === this.member || this.burials.has(id)) continue;
      // Whose burier is there is in good hands, unless that one gets nowhere.
      const patienceMs = state === 'alive' || !this.roster.lives(by!) ? giveUpMs : 3 * giveUpMs;
      if (by !== this.member && this.roster.silentMs(id) < patienceMs) continue;
      this.burials.add(id);
      bury(this.burial(), seen, this.member)
        .then((done) => {
          if (!done) return;
          this.publish(WAKE, null);
          this.turns?.wake();
        })
        .catch((cause) => this.problem(cause))
        .finally(() => this.burials.delete(id));
    }
  }

  private async place(): Promise<void> {
    const joined = this.roster.processes.filter(({ state }) => state === 'alive').sort((a, b) => a.joinedAt - b.joinedAt || (a._id < b._id ? -1 : 1));
    for (const [kind, holding] of this.holdings) {
      const members = joined.filter(({ _id, kinds }) => kinds.includes(kind) && !(this.leaving && _id === this.member)).map(({ _id }) => _id);
      const leases = this.roster.leases.filter(({ _id }) => _id.startsWith(`${kind}:`));
      this.placing = holding.place(leases, members);
      await this.answered(this.placing);
    }
  }

  private holding(kind: Placed, holder: Holder): Holding {
    const { leases, sleep, beatMs, onPoint, onProblem } = this.options;
    const onReleased = (name: string) => {
      if (this.notes.delete(`${kind}:${name}`)) this.notesChanged = true;
      this.publish(WAKE, null);
    };
    return new Holding({ kind, holder, leases, onReleased, onPoint, onProblem, sleep, retryMs: beatMs }, this.member);
  }

  private kinds(): Placed[] {
    return this.leaving ? [] : [...this.holders.keys()];
  }

  private burial() {
    const { client, processes, leases, hooks, giveUpMs, onPoint } = this.options;
    return { client, processes, leases, hooks, patienceMs: giveUpMs, onPoint };
  }

  /** A server that is stopped answers nothing for as long as it stands. */
  private answered<T>(promise: Promise<T>): Promise<T> {
    return this.within(promise, this.options.giveUpMs / 2);
  }

  private async within<T>(promise: Promise<T>, ms: number): Promise<T> {
    const end = new AbortController();
    const late = this.options.sleep(ms, end.signal).then(() => {
      throw new Timeout(`MongoDB has not answered for ${ms} ms`);
    });
    for (const each of [promise, late]) each.catch(() => {}); // One of them is told below.
    try {
      return await Promise.race([promise, late]);
    } finally {
      end.abort();
    }
  }
}
