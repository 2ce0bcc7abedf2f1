/**
 * Port: which processes there are and who of them does what. Embedded, one process does everything (`alone`); on Redis and MongoDB, lanes and integrations are
 * placed by lease (`engine/store/mongo/leases.ts`).
 */

export type Role = 'api' | 'integrations' | 'rules';
export const ROLES: readonly Role[] = ['api', 'integrations', 'rules'];

/** What runs in one process at a time. Lanes are named by their number, integrations by their id. */
export type Placed = 'lane' | 'integration';

/** The right to work on one thing. `epoch` grows with every change of hands: what an earlier holder still writes is refused (`Work.leases`). */
export interface Lease {
  /** `lane:3`, `integration:ID` */
  readonly name: string;
  readonly epoch: number;
}

/** Who runs what is placed here. */
export interface Holder {
  /** All of the kind that there is to run, anywhere. Asked about once a second. */
  names(): readonly string[];
  granted(name: string, lease: Lease): void;
  /** To another process, or taken from us after a silence. Resolves when nothing of it is under way any more; only then it is given on. */
  revoked(name: string): Promise<void>;
}

export interface ProcessInfo {
  /** Of this start; a process that comes back after it was given up has a new one. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly roles: readonly Role[];
  /** Unix ms. */
  readonly startedAt: number;
  readonly lanes: readonly number[];
  readonly integrations: readonly string[];
  /** Age of the oldest message in its lanes, ms. */
  readonly lagMs: number;
  /** How long ago it was last seen alive, ms; above about 5,000 it is given up and its work is taken over. */
  readonly silentMs: number;
}

export interface Cluster {
  /** This process, as in `ProcessInfo.id`. */
  id(): string;
  readonly roles: ReadonlySet<Role>;
  /** False: there is no other process and there can be none, so that nothing has to be told to anybody. */
  readonly shared: boolean;
  /** From now on this process takes its share of a kind, as long as it has the kind's role (`lane`: rules, `integration`: integrations). Grants may come before it returns. */
  hold(kind: Placed, holder: Holder): void;
  /** What `names()` of the holder gives has changed: it is asked now instead of within a second. */
  refresh(kind: Placed): void;
  /** Null: nobody holds it now. At most about a second old. */
  holderOf(kind: Placed, name: string): { readonly processId: string; readonly self: boolean } | null;
  /** What the holder tells the others about a thing that it runs (a status): plain JSON, small. */
  note(kind: Placed, name: string, note: object): void;
  /** The holder's last note, at most about a second old. */
  noteOf(kind: Placed, name: string): object | null;
  processes(): Promise<ProcessInfo[]>;
  /** A word to all processes, this one too. Fast and without any promise: who misses it must find out otherwise. */
  publish(topic: string, data: unknown): void;
  /** Returns the unsubscriber. */
  subscribe(topic: string, listener: (data: unknown, fromProcessId: string) => void): () => void;
  /** What other processes are told of this one, besides its leases. */
  describe(lagMs: () => number): void;
}

/** One process that holds everything at once. */
export function alone({ version, now = Date.now }: { version: string; now?: () => number }): Cluster {
  const id = 'alone';
  const startedAt = now();
  const held: Record<Placed, Set<string>> = { lane: new Set(), integration: new Set() };
  const holders = new Map<Placed, Holder>();
  const listeners = new Map<string, Set<(data: unknown, from: string) => void>>();
  const notes = new Map<string, object>();
  let lag = () => 0;

  function refresh(kind: Placed): void {
    const holder = holders.get(kind);
    if (!holder) return;
    const names = new Set(holder.names());
    for (const name of held[kind]) {
      if (names.has(name)) continue;
      held[kind].delete(name);
      notes.delete(`${kind}:${name}`);
      void holder.revoked(name);
    }
    for (const name of names) {
      if (held[kind].has(name)) continue;
      held[kind].add(name);
      holder.granted(name, { name: `${kind}:${name}`, epoch: 0 });
    }
  }

  return {
    id: () => id,
    roles: new Set(ROLES),
    shared: false,
    hold(kind, holder) {
      holders.set(kind, holder);
      refresh(kind);
    },
    refresh,
    holderOf: () => ({ processId: id, self: true }),
    note: (kind, name, note) => void notes.set(`${kind}:${name}`, note),
    noteOf: (kind, name) => notes.get(`${kind}:${name}`) ?? null,
    async processes() {
      const lanes = [...held.lane].map(Number);
      const integrations = [...held.integration];
      return [{ id, host: 'localhost', pid: process.pid, version, roles: [...ROLES], startedAt, lanes, integrations, lagMs: lag(), silentMs: 0 }];
    },
    publish(topic, data) {
      for (const listener of listeners.get(topic) ?? []) listener(data, id);
    },
    subscribe(topic, listener) {
      const of = listeners.get(topic) ?? new Set();
      listeners.set(topic, of.add(listener));
      return () => void of.delete(listener);
    },
    describe(lagMs) {
      lag = lagMs;
    },
  };
}
