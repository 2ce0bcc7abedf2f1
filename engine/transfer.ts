import { AppError, ConfigError } from './errors.ts';
import type { Sample, Value } from './json.ts';
import type { EntityRef, Message } from './message.ts';
import type { Counter, DeadLetter, Doc, Downlink, EventRow, Kept, Relation } from './store.ts';
import type { AttributeWrite } from './work.ts';

/**
 * Port: a whole installation as a stream of records, so that it can be carried from one backend to another while nobody runs it. Below the level of `Work`:
 * versions, ids, times and counters come over as they are. Jobs of a dispatcher are no records: they stand for batches that are waiting anyway.
 */

/** What there is, by kind. Records that hang together need no order among the kinds: nobody reads a target before it is whole. */
export interface Records {
  doc: Doc;
  attribute: AttributeWrite;
  /** All values of an entity and a moment. */
  history: Sample & { readonly tenantId: string; readonly entity: EntityRef; readonly expiresAt: number | null };
  /** All latest values of an entity. */
  latest: { readonly tenantId: string; readonly entity: EntityRef; readonly values: readonly LatestValue[] };
  relation: { readonly tenantId: string; readonly relation: Relation };
  /** In the order in which they were written, where it matters: of one entity, type and millisecond. */
  event: EventRow;
  deadLetter: DeadLetter;
  counter: { readonly tenantId: string; readonly owner: string; readonly counter: Counter; readonly n: number };
  /** Of two, the one with the lower `seq` came first. Who had taken one is not carried over: it waits again. */
  downlink: { readonly seq: number; readonly downlink: Downlink };
  /** In the order of the lane. */
  waiting: { readonly lane: number; readonly appendedAt: number; readonly message: Message };
  /** In the order in which those of one originator come again. */
  held: { readonly notBefore: number; readonly message: Message };
  /** In the order in which they were written, where it matters: those that are due at the same moment. */
  delayed: { readonly dueAt: number; readonly message: Message };
  /** Of two, the one with the lower `seq` was kept first. `movedAt`: when its reason was written; null: never. */
  kept: { readonly seq: number; readonly kept: Kept; readonly movedAt: number | null };
  nodeState: { readonly tenantId: string; readonly nodeId: string; readonly key: string; readonly value: unknown };
}

export interface LatestValue {
  readonly key: string;
  readonly ts: number;
  readonly value: Value;
}

export type Kind = keyof Records;
/** In the order in which they are carried over, with what people call them. */
export const KIND_NAMES: Readonly<Record<Kind, string>> = {
  doc: 'documents',
  relation: 'relations',
  attribute: 'attributes',
  latest: 'latest values',
  counter: 'counters',
  deadLetter: 'dead letters',
  downlink: 'downlinks',
  waiting: 'waiting messages',
  held: 'held messages',
  delayed: 'delayed messages',
  kept: 'kept messages',
  nodeState: 'states of rule nodes',
  event: 'events',
  history: 'history rows',
};
export const KINDS = Object.keys(KIND_NAMES) as Kind[];

/** A page ends with the record that makes it this big. */
export const PAGE_ROWS = 2000;
export const PAGE_CHARS = 4_000_000;

export interface RecordPage<K extends Kind = Kind> {
  readonly records: readonly Records[K][];
  /** Of the backend: where the next page begins. */
  readonly cursor: string | null;
  readonly isLast: boolean;
}

/** Numbers of a whole installation that must stay what they are. */
export interface Fixed {
  /** Decides which lane an originator is in. */
  readonly lanes: number;
  /** The last version that was given to a relation. */
  readonly relationVersion: number;
}

export interface Source {
  /** For people: a folder, or a URL without a password. */
  readonly name: string;
  fixed(): Promise<Fixed>;
  /** How many there are. What is over its time at `at` is not counted: the server removes it by itself, at a moment of its own. */
  count(kind: Kind, at: number): Promise<number>;
  /** In a fixed order, without what is over its time at `at`. */
  read<K extends Kind>(kind: K, after: string | null, at: number): Promise<RecordPage<K>>;
  /** A name for what is in here as long as nobody runs it: whoever opens the installation to run removes it. */
  snapshot(): Promise<string | null>;
  nameSnapshot(snapshot: string): Promise<void>;
}

export interface KindState {
  readonly cursor: string | null;
  readonly rows: number;
  readonly isWhole: boolean;
}

/** How far a copy is: kept in its target, and written in one transaction with what it is about. While `finishedAt` is null, nobody can run the target. */
export interface CopyState {
  readonly snapshot: string;
  readonly from: string;
  readonly beganAt: number;
  readonly finishedAt: number | null;
  /** Grows with each transaction: of two copies into the same target, one is refused. */
  readonly step: number;
  readonly kinds: Readonly<Partial<Record<Kind, KindState>>>;
}

export interface Target {
  readonly name: string;
  count(kind: Kind, at: number): Promise<number>;
  /** What keeps it from being a target, for people: `1,204 documents`. Null: nothing is in it. */
  content(): Promise<string | null>;
  copyState(): Promise<CopyState | null>;
  begin(state: CopyState, fixed: Fixed): Promise<void>;
  /** Records and state become durable together. @param before how many of the kind were written before: their order. */
  write<K extends Kind>(kind: K, records: readonly Records[K][], before: number, state: CopyState): Promise<void>;
  finish(state: CopyState): Promise<void>;
}

/** How many of a kind are in both. */
export interface Tally {
  readonly kind: Kind;
  readonly source: number;
  readonly target: number;
}

export interface TransferOptions {
  readonly source: Source;
  readonly target: Target;
  readonly newId: () => string;
  readonly now: () => number;
  /** After each page, and when a kind begins. */
  readonly onProgress?: (progress: { readonly kind: Kind; readonly rows: number; readonly total: number; readonly isWhole: boolean }) => void;
  /** Everything is there; to count it takes a while. */
  readonly onCounting?: () => void;
  /** Named points, for fault tests: `copy-begun`, `copy-page`, `copy-verified`. */
  readonly onPoint?: (name: string) => void;
}

/** What ends within this time is in neither count: the two may remove it at different moments, by different clocks. */
const ENDING_MS = 3_600_000;

/**
 * Carries everything over. What a run before has carried stays, when the source is as it was then.
 * @throws ConfigError when source and target are not such that this can be done. AppError `copy-differs` (`details.tallies`) when there is not the same in both.
 */
export async function transfer(options: TransferOptions): Promise<readonly Tally[]> {
  const { source, target, now, onCounting = () => {}, onPoint = () => {} } = options;
  let state = await begin(options);
  onPoint('copy-begun');
  for (const kind of KINDS) {
    state = await carry(kind, state, options);
    if ((await source.snapshot()) !== state.snapshot)
      throw new ConfigError(`${source.name} was started while it was copied. Stop it, empty ${target.name}, and begin anew`);
  }
  onCounting();
  const tallies: Tally[] = [];
  const at = now() + ENDING_MS;
  for (const kind of KINDS) tallies.push({ kind, source: await source.count(kind, at), target: await target.count(kind, at) });
  if (tallies.some((tally) => tally.source !== tally.target))
    throw new AppError('copy-differs', 'never', `${target.name} does not hold what ${source.name} holds: empty it and begin anew`, {
      details: { tallies },
    });
  onPoint('copy-verified');
  await target.finish({ ...state, step: state.step + 1, finishedAt: now() });
  return tallies;
}

async function begin({ source, target, newId, now }: TransferOptions): Promise<CopyState> {
  const known = await target.copyState();
  const snapshot = await source.snapshot();
  if (known === null || known.finishedAt !== null) {
    const content = await target.content();
    if (content !== null) {
      const copied = known?.finishedAt ? `, copied from ${known.from} at ${new Date(known.finishedAt).toISOString()}` : '';
      throw new ConfigError(`${target.name} is not empty (${content}${copied}). A copy needs a target of its own: give another, or empty this one`);
    }
    const state: CopyState = {
      snapshot: snapshot ?? newId(),
      from: source.name,
      beganAt: now(),
      finishedAt: null,
      step: 0,
      kinds: {},
    };
    // In this order: a target that is begun must find its source again.
    if (snapshot === null) await source.nameSnapshot(state.snapshot);
    await target.begin(state, await source.fixed());
    return state;
  }
  if (known.snapshot === snapshot) return known;
  throw new ConfigError(
    known.from === source.name
      ? `${target.name} holds a copy of ${source.name} that was not finished, and ${source.name} has been started since. Empty ${target.name} and begin anew`
      : `${target.name} holds a copy of ${known.from} that was not finished, not one of ${source.name}. Finish that one, or empty ${target.name}`,
  );
}

/** One kind, from where it is to its end. The next page is read while one is written. */
async function carry(kind: Kind, begun: CopyState, { source, target, now, onProgress = () => {}, onPoint = () => {} }: TransferOptions) {
  let state = begun;
  let { cursor, rows, isWhole } = state.kinds[kind] ?? { cursor: null, rows: 0, isWhole: false };
  const total = await source.count(kind, now());
  onProgress({ kind, rows, total, isWhole });
  if (isWhole) return state;
  let page = await source.read(kind, cursor, now());
  for (;;) {
    const { records, isLast } = page;
    cursor = page.cursor;
    isWhole = isLast;
    state = { ...state, step: state.step + 1, kinds: { ...state.kinds, [kind]: { cursor, rows: rows + records.length, isWhole } } };
    const written = target.write(kind, records, rows, state);
    const next = isLast ? null : source.read(kind, cursor, now());
    const [, following] = await Promise.all([written, next]);
    rows += records.length;
    onProgress({ kind, rows, total, isWhole });
    onPoint('copy-page');
    if (!following) return state;
    page = following;
  }
}
