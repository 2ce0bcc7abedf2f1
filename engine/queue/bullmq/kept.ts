import type { AnyBulkWriteOperation, Collection, Filter } from 'mongodb';
import { Fenced } from '#engine/errors.ts';
import { laneOf } from '#engine/queue.ts';
import { purgeAhead, under } from '#engine/store/mongo/outcome.ts';
import type { Step, Transaction } from '#engine/store/mongo/transaction.ts';
import type { Kept, KeptSummary } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { decodeMessage } from '../messages.ts';
import { earliestPlace, Places, placeAt } from '../places.ts';
import { lineOf } from './batches.ts';

/** `kept`: one message that stays at a node. */
export interface StoredKept {
  /** `MESSAGE/NODE/KEY` */
  readonly _id: string;
  readonly tenantId: string;
  readonly nodeId: string;
  readonly key: string;
  readonly kind: Kept['kind'];
  /** Of its originator. */
  readonly lane: number;
  readonly owner: string;
  /** Grows within a lane, whatever process has it; elsewhere it follows the clocks. */
  readonly seq: number;
  readonly keptAt: number;
  readonly attempts: number;
  readonly reason: string | null;
  /** When the reason was written. */
  readonly movedAt?: number;
  readonly line: string;
}

export interface KeptOptions {
  readonly kept: Collection<StoredKept>;
  readonly lanes: number;
  /** There are so many more, or fewer: at the commit. */
  readonly onChanged: (by: number) => void;
}

interface KeptQuery {
  readonly after?: string;
  readonly max: number;
}

/** Documents that are read in order. */
interface Scope {
  readonly name: string;
  readonly filter: Filter<StoredKept>;
}

const idOf = (messageId: string, nodeId: string, key: string): string => `${messageId}/${nodeId}/${key}`;

export function toStoredKept({ message, nodeId, kind, key, keptAt, attempts, reason }: Kept, seq: number, lanes: number): StoredKept {
  const { id, tenantId, owner, originator } = message;
  const lane = laneOf(originator.id, lanes);
  return { _id: idOf(id, nodeId, key), tenantId, nodeId, key, kind, lane, owner, seq, keptAt, attempts, reason, line: lineOf(message) };
}

export const toKept = ({ line, nodeId, kind, key, keptAt, attempts, reason }: StoredKept): Kept => ({
  message: decodeMessage(line),
  nodeId,
  kind,
  key,
  keptAt,
  attempts,
  reason,
});

/** Messages that stay at a node. Nothing in Redis stands for them. */
export class KeptMessages {
  private readonly options: KeptOptions;
  private readonly places = new Places();
  private lastSeq = 0;

  constructor(options: KeptOptions) {
    this.options = options;
  }

  /** In the running transaction: what is kept first, as a node may keep a message and end it in one batch. @throws Fenced */
  async write(works: readonly Work[], { session, now, order, afterCommit }: Transaction): Promise<void> {
    const { kept, lanes, onChanged } = this.options;
    const added = new Map<string, StoredKept>();
    const moved = new Map<string, Pick<StoredKept, 'tenantId' | 'nodeId' | 'attempts' | 'reason'>>();
    const gone = new Set<string>();
    const removed = new Map<string, Work['keptRemovals'][number][]>();
    for (const work of works) {
      for (const each of work.kept) {
        this.lastSeq = Math.max(this.lastSeq + 1, placeAt(order));
        const stored = toStoredKept(each, this.lastSeq, lanes);
        added.set(stored._id, each.reason === null ? stored : { ...stored, movedAt: now });
      }
      for (const { tenantId, nodeId, messageId, attempts, reason } of work.keptMoves) {
        const prefix = idOf(messageId, nodeId, '');
        const own = [...added.values()].find(({ _id, ...of }) => _id.startsWith(prefix) && of.tenantId === tenantId);
        if (own) added.set(own._id, { ...own, attempts, reason, movedAt: now });
        else moved.set(prefix, { tenantId, nodeId, attempts, reason });
      }
      for (const removal of work.keptRemovals) {
        const { tenantId, nodeId, key, messageId } = removal;
        const id = idOf(messageId, nodeId, key);
        const others = removed.get(tenantId);
        if (added.get(id)?.tenantId === tenantId) added.delete(id);
        else if (others) others.push(removal);
        else removed.set(tenantId, [removal]);
        moved.delete(idOf(messageId, nodeId, ''));
      }
      for (const tenantId of tenantsOf(work)) {
        gone.add(tenantId);
        for (const each of added.values()) if (each.tenantId === tenantId) added.delete(each._id);
      }
    }
    let change = added.size;
    for (const [tenantId, list] of removed) {
      const ids = list.map(({ messageId, nodeId, key }) => idOf(messageId, nodeId, key));
      const { deletedCount } = await kept.deleteMany({ tenantId, _id: { $in: ids } }, { session });
      // One that is named twice is there once.
      if (deletedCount !== ids.length) throw new Fenced(`message ${list[0]!.messageId} of rule node ${list[0]!.nodeId}`);
      change -= ids.length;
    }
    if (gone.size > 0) change -= (await kept.deleteMany({ tenantId: { $in: [...gone] } }, { session })).deletedCount;
    if (added.size > 0) await kept.insertMany([...added.values()], { session });
    if (moved.size > 0) {
      const moves = Array.from(moved, ([prefix, { tenantId, nodeId, attempts, reason }]): AnyBulkWriteOperation<StoredKept> => {
        const filter = { _id: under(prefix), tenantId, nodeId };
        return { updateMany: { filter, update: { $set: { attempts, reason, movedAt: now } } } };
      });
      await kept.bulkWrite(moves, { session, ordered: false });
    }
    if (change !== 0) afterCommit(() => onChanged(change));
  }

  /** What the nodes of a deleted tenant keep. */
  async ahead(work: Work, commit: (step: Step) => Promise<void>): Promise<void> {
    const { kept, onChanged } = this.options;
    for (const tenantId of tenantsOf(work)) await purgeAhead(kept, { tenantId }, commit, (n) => onChanged(-n));
  }

  /** Before this process works on a lane: what it keeps comes behind what others have kept there, whatever their clocks say. */
  async load(lane: number): Promise<void> {
    const options = { sort: { seq: -1 }, projection: { seq: 1 } } as const;
    const last = await Promise.all((['own', 'send'] as const).map((kind) => this.options.kept.findOne({ lane, kind }, options)));
    this.lastSeq = Math.max(this.lastSeq, ...last.map((row) => row?.seq ?? 0));
  }

  read(tenantId: string, nodeId: string, { key, after, max }: KeptQuery & { key?: string }): Promise<Kept[]> {
    return this.page({ name: nodeId, filter: { tenantId, nodeId, ...(key !== undefined && { key }) } }, after, max);
  }

  sends(lane: number, { after, max }: KeptQuery): Promise<Kept[]> {
    return this.page({ name: `lane ${lane}`, filter: { lane, kind: 'send' } }, after, max);
  }

  async summary(tenantId: string, nodeId: string, key?: string): Promise<KeptSummary> {
    const { kept } = this.options;
    const filter: Filter<StoredKept> = { tenantId, nodeId, ...(key !== undefined && { key }) };
    const [count, oldest, last] = await Promise.all([
      kept.countDocuments(filter),
      kept.findOne(filter, { sort: { seq: 1 }, projection: { keptAt: 1 } }),
      kept.findOne({ ...filter, movedAt: { $exists: true } }, { sort: { movedAt: -1, seq: -1 }, projection: { reason: 1 } }),
    ]);
    return { count, oldestAt: oldest?.keptAt ?? null, lastReason: last?.reason ?? null };
  }

  private async page(scope: Scope, after: string | undefined, max: number): Promise<Kept[]> {
    // None would mean all.
    if (max <= 0) return [];
    const behind = after === undefined ? {} : { seq: { $gt: await this.placeOf(scope, after) } };
    const rows = await this.options.kept.find({ ...scope.filter, ...behind }, { sort: { seq: 1 }, limit: max }).toArray();
    const found = rows.map(toKept);
    if (found.length > 0) this.places.remember(scope.name, found.at(-1)!.message.id, rows.at(-1)!.seq);
    return found;
  }

  private async placeOf({ name, filter }: Scope, after: string): Promise<number> {
    const known = this.places.find(name, after);
    if (known !== undefined) return known;
    const row = await this.options.kept.findOne({ ...filter, _id: under(`${after}/`) }, { sort: { seq: 1 }, projection: { seq: 1 } });
    return row?.seq ?? earliestPlace(after);
  }
}

/** Those that a work deletes. */
const tenantsOf = ({ purges }: Work): string[] => purges.flatMap(({ tenantId, entity }) => (entity.entityType === 'TENANT' ? tenantId : []));
