import { type AnyBulkWriteOperation, type Collection, type Document, MongoBulkWriteError } from 'mongodb';
import { AppError } from '#engine/errors.ts';
import { isDuplicateKey } from '#engine/store/mongo/errors.ts';
import { Again, type Transaction } from '#engine/store/mongo/transaction.ts';
import type { Downlink, DownlinkState, DownlinkStep } from '#engine/store.ts';
import type { DownlinkMove } from '#engine/work.ts';
import { dueAt, isWaiting, NEXT, queueOf, type StoredDownlink, slotOf, toStored } from './downlink-docs.ts';

/** What is known of a downlink that is there already: all but its message. */
export type Known = Pick<
  StoredDownlink,
  '_id' | 'tenantId' | 'integrationId' | 'entityId' | 'delivery' | 'policy' | 'seq' | 'state' | 'claimedBy' | 'expiresAt'
>;

export const KNOWN = { tenantId: 1, integrationId: 1, entityId: 1, delivery: 1, policy: 1, seq: 1, state: 1, claimedBy: 1, expiresAt: 1 } as const;

interface Row {
  readonly known: Known;
  /** Null: it is in the collection. */
  readonly added: { readonly downlink: Downlink; readonly stored: StoredDownlink } | null;
  readonly steps: DownlinkStep[];
  state: DownlinkState;
}

export interface DraftOptions {
  readonly collection: Collection<StoredDownlink>;
  readonly transaction: Transaction;
  /** Of those that the backend ends by itself. */
  readonly count: (tenantId: string, integrationId: string, counter: 'downlinks.replaced' | 'downlinks.expired') => void;
  /** After the commit. */
  readonly onEnded: (downlink: Known) => void;
}

/** What one transaction does to downlinks: first to the picture of them in memory, in the order of the works, then in as few operations as that comes to. */
export class Draft {
  private readonly options: DraftOptions;
  private readonly rows = new Map<string, Row>();
  private readonly slots = new Map<string, Row[]>();

  constructor(options: DraftOptions) {
    this.options = options;
  }

  /** Those that the works move, and those that wait in the slots that they fill. */
  async read(ids: readonly string[], slots: readonly Downlink[]): Promise<void> {
    const { collection, transaction } = this.options;
    const wanted: Document[] = [];
    if (ids.length > 0) wanted.push({ _id: { $in: ids } });
    if (slots.length > 0) {
      const entityId = { $in: [...new Set(slots.map(({ entity }) => entity.id))] };
      const integrationId = { $in: [...new Set(slots.map((downlink) => downlink.integrationId))] };
      wanted.push({ entityId, integrationId, delivery: 'pending', waiting: true, claimedBy: null });
    }
    for (const filter of wanted) {
      for (const known of await collection.find<Known>(filter, { session: transaction.session, projection: KNOWN }).toArray()) this.know(known);
    }
  }

  know(known: Known): void {
    if (!this.rows.has(known._id)) this.put({ known, added: null, steps: [], state: known.state });
  }

  /** A new one; what waits in its slot is replaced where the last wins. */
  add(downlink: Downlink, seq: number): void {
    const { member } = this.options.transaction;
    const stored = toStored(downlink, seq, member);
    if (downlink.delivery === 'pending' && downlink.policy === 'last') {
      for (const older of this.slots.get(slotOf(stored)) ?? []) {
        if (isFree(older)) this.endRow(older, 'REPLACED', `replaced by ${downlink.id}`);
      }
    }
    this.put({ known: stored, added: { downlink, stored }, steps: [], state: stored.state });
  }

  /** All that happens to one downlink in one work. @throws AppError `stale-downlink` when it is over already: the caller's counts would make the ledger wrong. */
  move(steps: readonly DownlinkMove[]): void {
    const { tenantId, id } = steps[0]!;
    const found = this.rows.get(id);
    const row = found?.known.tenantId === tenantId ? found : undefined;
    let from = row?.state;
    for (const { state } of steps) {
      if (!from || !NEXT[from].includes(state))
        throw new AppError('stale-downlink', 'never', `The downlink ${id} is ${from ?? 'gone'} and can not become ${state}`);
      from = state;
    }
    row!.steps.push(...steps.map(({ state, ts, reason }) => ({ state, ts, reason })));
    row!.state = from!;
  }

  /** Ended by the backend itself, which counts it then. Nothing where it is over already. */
  end(id: string, state: 'REPLACED' | 'EXPIRED', reason: string): void {
    const row = this.rows.get(id);
    if (row && isWaiting(row.state)) this.endRow(row, state, reason);
  }

  /** How many more of an integration's pending ones wait than before. */
  grownBy(integrationId: string): number {
    let by = 0;
    for (const { known, added, state } of this.rows.values()) {
      if (known.integrationId !== integrationId || known.delivery !== 'pending') continue;
      if (added && isWaiting(state)) by++;
      else if (!added && isWaiting(known.state) && !isWaiting(state)) by--;
    }
    return by;
  }

  /** Ends the oldest that nobody has claimed, of those of the collection too. */
  async endOldest(integrationId: string, n: number): Promise<void> {
    const { collection, transaction } = this.options;
    const ended = Array.from(this.rows.values()).filter(({ added, state }) => !added && !isWaiting(state)).length;
    const oldest = await collection
      .find<Known>({ integrationId, delivery: 'pending', waiting: true, claimedBy: null }, { session: transaction.session, projection: KNOWN })
      .sort({ seq: 1 })
      .limit(n + ended)
      .toArray();
    for (const known of oldest) this.know(known);
    const free = Array.from(this.rows.values()).filter(
      (row) => row.known.integrationId === integrationId && row.known.delivery === 'pending' && isFree(row),
    );
    for (const row of free.sort((a, b) => a.known.seq - b.known.seq).slice(0, n)) this.endRow(row, 'EXPIRED', 'queue full');
  }

  /** Writes everything, and forgets it. @throws Again when another process has filled the same slot meanwhile. */
  async write(): Promise<void> {
    const { collection, transaction, onEnded } = this.options;
    const { session, now } = transaction;
    const rows = [...this.rows.values()];
    this.rows.clear();
    this.slots.clear();
    const changed = rows.filter(({ added, steps }) => !added && steps.length > 0);
    const added = rows.filter((row) => row.added);
    // First, because an older one leaves the slot that a new one takes.
    if (changed.length > 0) await collection.bulkWrite(changesOf(changed), { session, ordered: false });
    if (added.length > 0) {
      try {
        await collection.insertMany(added.map(insertOf), { session });
      } catch (cause) {
        if (isSlotTaken(cause)) throw new Again();
        throw cause;
      }
    }
    for (const { known, added, state } of rows) {
      if (isWaiting(state)) {
        if (added) transaction.dispatch({ queue: queueOf(known.integrationId), jobId: known._id, data: {}, dueAt: dueAt(added.downlink, now) });
      } else if (!added && isWaiting(known.state)) transaction.afterCommit(() => onEnded(known));
    }
  }

  private put(row: Row): void {
    this.rows.set(row.known._id, row);
    if (row.known.delivery !== 'pending') return;
    const slot = slotOf(row.known);
    const inSlot = this.slots.get(slot);
    if (inSlot) inSlot.push(row);
    else this.slots.set(slot, [row]);
  }

  private endRow(row: Row, state: 'REPLACED' | 'EXPIRED', reason: string): void {
    const { transaction, count } = this.options;
    row.steps.push({ state, ts: transaction.now, reason });
    row.state = state;
    count(row.known.tenantId, row.known.integrationId, state === 'REPLACED' ? 'downlinks.replaced' : 'downlinks.expired');
  }
}

/** Waits, and nobody answers a device with it. */
const isFree = ({ known, state }: Row): boolean => isWaiting(state) && !known.claimedBy;

/** The name of the field is in what the server says of a duplicate, or in the key that it names; the same downlink twice is another matter. */
export function isSlotTaken(cause: unknown): boolean {
  if (!isDuplicateKey(cause)) return false;
  // What was refused as a whole has no errors of its parts.
  const parts = cause instanceof MongoBulkWriteError ? [cause.writeErrors].flat().map(({ errmsg }) => errmsg) : [];
  const texts = [cause.message, ...parts];
  return texts.some((text) => text?.includes('slot'));
}

/** Many expire at once, and in the same way. */
function changesOf(rows: readonly Row[]): AnyBulkWriteOperation<StoredDownlink>[] {
  const alike = Map.groupBy(rows, ({ known, steps }) => JSON.stringify([known.tenantId, steps]));
  return Array.from(alike.values(), (list) => {
    const { known, steps, state } = list[0]!;
    const filter = { _id: { $in: list.map((row) => row.known._id) }, tenantId: known.tenantId };
    const $push = { history: { $each: steps } };
    const $set = { state };
    const over = { waiting: '', claimedBy: '', claim: '', slot: '' } as const;
    return { updateMany: { filter, update: isWaiting(state) ? { $set, $push } : { $set, $push, $unset: over } } };
  });
}

function insertOf({ added, steps, state }: Row): StoredDownlink {
  const { stored } = added!;
  if (steps.length === 0) return stored;
  const { waiting, claimedBy, slot, ...rest } = stored;
  const history = [...stored.history, ...steps];
  return isWaiting(state) ? { ...stored, state, history } : { ...rest, state, history };
}
