import { type Cluster, type Holder, type Lease, type Placed, type ProcessInfo, ROLES, type Role } from '#engine/cluster.ts';
import { Fenced } from '#engine/errors.ts';
import type { Backend } from '#engine/queue.ts';

export interface TestProcess {
  readonly id: string;
  readonly cluster: Cluster;
  /** The shared backend as this process sees it: a commit under a lease that it does not hold is refused. */
  readonly backend: Backend;
}

export interface TwoProcesses {
  readonly a: TestProcess;
  readonly b: TestProcess;
  /** Takes it from whoever has it, and gives it on when nothing of it is under way there any more. `null`: to nobody. */
  move(kind: Placed, name: string, to: TestProcess | null): Promise<void>;
  /** As after a silence: the new one has it at once, and the old one learns of it when `told` is called. */
  seize(kind: Placed, name: string, to: TestProcess): { told(): Promise<void> };
  /** Words between the processes are lost from now on. */
  cut(lost: boolean): void;
}

interface Placement {
  owner: TestProcess;
  epoch: number;
}

/**
 * Two processes over one embedded backend. Leases are where the test puts them: nothing is placed by itself. Words and notes go through JSON and arrive a turn of
 * the loop later, as from another process.
 */
export function twoProcesses(shared: Backend, roles: { a?: readonly Role[]; b?: readonly Role[] } = {}): TwoProcesses {
  const placed = new Map<string, Placement>();
  const epochs = new Map<string, number>();
  const holders = new Map<TestProcess, Map<Placed, Holder>>();
  const listeners = new Map<string, Set<{ process: () => TestProcess; listener: (data: unknown, from: string) => void }>>();
  const notes = new Map<string, object>();
  const all: TestProcess[] = [];
  let lost = false;
  const nameOf = (kind: Placed, name: string): string => `${kind}:${name}`;
  const namesOf = (owner: TestProcess, kind: Placed): string[] =>
    [...placed].flatMap(([name, { owner: holder }]) => (holder === owner && name.startsWith(`${kind}:`) ? [name.slice(kind.length + 1)] : []));

  function grant(kind: Placed, name: string, to: TestProcess): void {
    const key = nameOf(kind, name);
    const epoch = (epochs.get(key) ?? 0) + 1;
    epochs.set(key, epoch);
    placed.set(key, { owner: to, epoch });
    holders.get(to)!.get(kind)?.granted(name, { name: key, epoch });
  }

  function process(id: string, own: readonly Role[]): TestProcess {
    const holds = (lease: Lease): boolean => placed.get(lease.name)?.owner === made && placed.get(lease.name)?.epoch === lease.epoch;
    const cluster: Cluster = {
      id: () => id,
      roles: new Set(own),
      shared: true,
      hold: (kind, holder) => void holders.get(made)!.set(kind, holder),
      refresh: () => {},
      holderOf(kind, name) {
        const owner = placed.get(nameOf(kind, name))?.owner;
        return owner ? { processId: owner.id, self: owner === made } : null;
      },
      note: (kind, name, note) => void notes.set(nameOf(kind, name), JSON.parse(JSON.stringify(note))),
      noteOf: (kind, name) => notes.get(nameOf(kind, name)) ?? null,
      processes: async () => all.map((each) => info(each)),
      publish(topic, data) {
        if (lost) return;
        const text = JSON.stringify(data);
        setImmediate(() => {
          for (const { listener } of listeners.get(topic) ?? []) listener(JSON.parse(text), id);
        });
      },
      subscribe(topic, listener) {
        const of = listeners.get(topic) ?? new Set();
        const entry = { process: () => made, listener };
        listeners.set(topic, of.add(entry));
        return () => void of.delete(entry);
      },
      describe() {},
    };
    const backend: Backend = {
      ...shared,
      cluster,
      async commit(work) {
        for (const lease of work.leases) if (!holds(lease)) throw new Fenced(lease.name);
        await shared.commit(work);
      },
    };
    const made: TestProcess = { id, cluster, backend };
    holders.set(made, new Map());
    all.push(made);
    return made;
  }

  const info = (of: TestProcess): ProcessInfo => ({
    id: of.id,
    host: 'test',
    pid: 1,
    version: '0',
    roles: [...of.cluster.roles],
    startedAt: 0,
    lanes: namesOf(of, 'lane').map(Number),
    integrations: namesOf(of, 'integration'),
    lagMs: 0,
    silentMs: 0,
  });

  const a = process('a', roles.a ?? ROLES);
  const b = process('b', roles.b ?? ROLES);
  return {
    a,
    b,
    async move(kind, name, to) {
      const before = placed.get(nameOf(kind, name))?.owner;
      if (before) await holders.get(before)!.get(kind)?.revoked(name);
      placed.delete(nameOf(kind, name));
      if (to) grant(kind, name, to);
    },
    seize(kind, name, to) {
      const before = placed.get(nameOf(kind, name))?.owner;
      grant(kind, name, to);
      return { told: async () => before && holders.get(before)!.get(kind)?.revoked(name) };
    },
    cut(on) {
      lost = on;
    },
  };
}
