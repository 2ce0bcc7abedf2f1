import type { ClientSession, Collection, Document } from 'mongodb';
import type { KeyValue } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, type EntityRef, type EntityType, type Message } from '#engine/message.ts';
import { batchName, isDelayed, type StoredBatch, toBatches } from '#engine/queue/bullmq/batches.ts';
import { type StoredDownlink, toDownlink, toStored } from '#engine/queue/bullmq/downlink-docs.ts';
import { heldId, type StoredHeld } from '#engine/queue/bullmq/held.ts';
import { type StoredKept, toKept, toStoredKept } from '#engine/queue/bullmq/kept.ts';
import { decodeMessage, encodeMessage } from '#engine/queue/messages.ts';
import { laneOf } from '#engine/queue.ts';
import type { Counter } from '#engine/store.ts';
import { type Kind, PAGE_CHARS, PAGE_ROWS, type RecordPage, type Records } from '#engine/transfer.ts';
import { fromCell } from '../values.ts';
import { type StoredAttribute, storedAttribute } from './attributes.ts';
import type { Collections } from './database.ts';
import { storedDeadLetter, toDeadLetter } from './dead-letters.ts';
import { storedDoc, toDoc } from './docs.ts';
import { storedEvent, toEvent } from './events.ts';
import { storedNodeState, toNodeState } from './node-states.ts';
import { storedRelation, toRelation } from './relations.ts';
import {
  decodeKey,
  encodeKey,
  endOf,
  entityOfLatest,
  entityOfSample,
  kindOf,
  type LatestCell,
  latestId,
  type StoredLatest,
  type StoredSample,
  sampleId,
  storedValue,
  toValue,
} from './samples.ts';
import { Scan } from './scan.ts';

/** How the records of one kind are documents. */
export interface Table<K extends Kind> {
  readonly count: (at: number) => Promise<number>;
  readonly read: (after: string | null, at: number) => Promise<RecordPage<K>>;
  /** In a transaction that happens once: what is written is not there yet. */
  readonly write: (records: readonly Records[K][], before: number, session: ClientSession) => Promise<void>;
}

export interface TablesOptions {
  readonly collections: Collections;
  readonly lanes: number;
  readonly now: number;
}

/** The member that copied messages and downlinks are from: one that is not there, so that whoever is given a lane looks for what has no job. */
const COPIED = 'copied';
/** Read at a time, of at most 1 MB each. */
const BATCHES = 4;

/** Any document of ours. */
interface Row {
  readonly _id: string;
  readonly [field: string]: unknown;
}

/** One document a record, in the order of `_id`. MongoDB removes those that have an `expiresAt` by itself. */
function oneEach<K extends Kind, D extends { readonly _id: string }>(
  collection: Collection<D>,
  toRecord: (document: D) => Records[K],
  toStored: (record: Records[K], seq: number) => D,
): Table<K> {
  const rows = collection as unknown as Collection<Row>;
  const scan = new Scan<Row>(
    (after) => rows.find(after === null ? {} : { _id: { $gt: after } }, { sort: { _id: 1 }, batchSize: PAGE_ROWS }),
    ({ _id }) => _id,
  );
  return {
    async count(at) {
      const over = await rows.countDocuments({ expiresAt: { $lte: new Date(at) } });
      return (await rows.countDocuments({})) - over;
    },
    async read(after, at) {
      const { documents, cursor, isLast } = await scan.page(after);
      const kept = documents.filter(({ expiresAt }) => !(expiresAt instanceof Date) || expiresAt.getTime() > at);
      return { records: (kept as unknown as D[]).map(toRecord), cursor, isLast };
    },
    async write(records, before, session) {
      if (records.length > 0)
        await rows.insertMany(
          records.map((record, index) => toStored(record, before + index) as unknown as Row),
          { session },
        );
    },
  };
}

function attributeOf({ _id, tenantId, key, ts, type, value }: StoredAttribute): Records['attribute'] {
  const [, entityType, id, scope] = _id.split('/', 4);
  const entity = { entityType, id } as EntityRef;
  return { tenantId, entity, scope: ATTRIBUTE_SCOPES[Number(scope)]!, key, value: fromCell(type, value), lastUpdateTs: ts };
}

/** One document an owner and process that counted: read as their sum, and written as nobody's. */
function counters(collection: Collections['counters']): Table<'counter'> {
  async function read(after: string | null): Promise<RecordPage<'counter'>> {
    const records: Records['counter'][] = [];
    let owner = after;
    let sums = new Map<string, Records['counter']>();
    const flush = (): void => {
      records.push(...[...sums.values()].filter(({ n }) => n !== 0));
      sums = new Map();
    };
    // The documents of an owner are neighbours; `0` is what follows `/`.
    for await (const row of collection.find(after === null ? {} : { _id: { $gte: `${after}0` } }, { sort: { _id: 1 } })) {
      if (row.owner !== owner) {
        flush();
        if (records.length >= PAGE_ROWS) return { records, cursor: owner, isLast: false };
        owner = row.owner;
      }
      for (const [group, counts] of Object.entries(row.n)) {
        for (const [name, n] of Object.entries(counts)) {
          const counter = `${group}.${name}` as Counter;
          sums.set(counter, { tenantId: row.tenantId, owner, counter, n: n + (sums.get(counter)?.n ?? 0) });
        }
      }
    }
    flush();
    return { records, cursor: owner, isLast: true };
  }
  return {
    async count() {
      let count = 0;
      for (let after: string | null = null, isLast = false; !isLast; ) {
        const page: RecordPage<'counter'> = await read(after);
        count += page.records.length;
        ({ cursor: after, isLast } = page);
      }
      return count;
    },
    read,
    async write(records, _before, session) {
      if (records.length === 0) return;
      await collection.bulkWrite(
        records.map(({ tenantId, owner, counter, n }) => ({
          updateOne: {
            filter: { _id: `${owner}//0`, tenantId },
            update: { $inc: { [`n.${counter}`]: n }, $setOnInsert: { owner, member: '' } } as Document,
            upsert: true,
          },
        })),
        { session },
      );
    },
  };
}

/** In the order in which each originator's come again: its places have no holes, neither before nor after. */
function held(collection: Collection<StoredHeld>, lanes: number): Table<'held'> {
  const scan = new Scan<StoredHeld>(
    (after) => {
      const [lane, originator, pos] = after === null ? [-1, '', 0] : (JSON.parse(after) as [number, string, number]);
      const behind = [{ lane: { $gt: lane } }, { lane, originator: { $gt: originator } }, { lane, originator, pos: { $gt: pos } }];
      return collection.find({ $or: behind }, { sort: { lane: 1, originator: 1, pos: 1 }, batchSize: PAGE_ROWS });
    },
    ({ lane, originator, pos }) => JSON.stringify([lane, originator, pos]),
  );
  return {
    count: () => collection.countDocuments({}),
    async read(after) {
      const { documents, cursor, isLast } = await scan.page(after);
      return { records: documents.map(({ notBefore, line }) => ({ notBefore, message: decodeMessage(line) })), cursor, isLast };
    },
    async write(records, before, session) {
      if (records.length === 0) return;
      const documents = records.map(({ notBefore, message }, index): StoredHeld => {
        const { tenantId, owner, originator } = message;
        const pos = before + index;
        const lane = laneOf(originator.id, lanes);
        return { _id: heldId(originator.id, pos), lane, originator: originator.id, pos, tenantId, owner, notBefore, line: encodeMessage(message) };
      });
      await collection.insertMany(documents, { session });
    },
  };
}

function downlinks(collection: Collection<StoredDownlink>): Table<'downlink'> {
  const toRecord = (row: StoredDownlink): Records['downlink'] => ({ seq: row.seq, downlink: toDownlink(row) });
  const toDocument = ({ seq, downlink }: Records['downlink']): StoredDownlink => toStored(downlink, seq, COPIED);
  return {
    ...oneEach<'downlink', StoredDownlink>(collection, toRecord, toDocument),
    async write(records, _before, session) {
      if (records.length === 0) return;
      const documents = records.map(toDocument);
      await keepNewestInSlot(collection, documents, session);
      await collection.insertMany(documents, { session });
    },
  };
}

/** Where one was taken when another came and the last was to win, two wait in one slot, of which only the newer has it. */
async function keepNewestInSlot(collection: Collection<StoredDownlink>, documents: StoredDownlink[], session: ClientSession): Promise<void> {
  const newest = new Map<string, { readonly _id: string; readonly seq: number }>();
  const slots = documents.flatMap(({ slot }) => slot ?? []);
  const stored = slots.length === 0 ? [] : await collection.find({ slot: { $in: slots } }, { session, projection: { slot: 1, seq: 1 } }).toArray();
  for (const { _id, slot, seq } of [...stored, ...documents]) {
    const other = slot === undefined ? undefined : newest.get(slot);
    if (slot !== undefined && !(other && other.seq > seq)) newest.set(slot, { _id, seq });
  }
  const older = stored.filter(({ _id, slot }) => newest.get(slot!)!._id !== _id).map(({ _id }) => _id);
  if (older.length > 0) await collection.updateMany({ _id: { $in: older } }, { $unset: { slot: '' } }, { session });
  for (const [index, document] of documents.entries()) {
    const { slot, ...rest } = document;
    if (slot !== undefined && newest.get(slot)!._id !== document._id) documents[index] = rest;
  }
}

/**
 * Messages of batches: those that wait, or those that are delayed. A lane's batches come in the order of their numbers, which follow the clock whatever process gave
 * them; their ids alone are sorted here, because no index has that order.
 */
function batches<K extends 'waiting' | 'delayed'>(
  collection: Collection<StoredBatch>,
  lanes: number,
  delayed: boolean,
  toRecord: (batch: StoredBatch, message: Message) => Records[K],
  placeOf: (record: Records[K]) => Pick<StoredBatch, 'lane' | 'at' | 'dueAt'>,
): Table<K> {
  let sorted: { readonly lane: number; readonly ids: readonly string[] } | null = null;
  async function idsIn(lane: number): Promise<readonly string[]> {
    if (sorted?.lane === lane) return sorted.ids;
    const found = await collection.find({ _id: { $gt: `${lane}.`, $lt: `${lane}/` } }, { projection: { _id: 1 } }).toArray();
    const named = found.flatMap(({ _id }) => (isDelayed(_id) === delayed ? [{ _id, n: batchName(_id).n }] : []));
    const ids = named.sort((a, b) => a.n - b.n || (a._id < b._id ? -1 : 1)).map(({ _id }) => _id);
    sorted = { lane, ids };
    return ids;
  }
  return {
    async count() {
      const [sum] = await collection
        .aggregate<{ n: number }>([{ $match: { dueAt: delayed ? { $ne: null } : null } }, { $group: { _id: null, n: { $sum: '$total' } } }])
        .toArray();
      return sum?.n ?? 0;
    },
    async read(after) {
      const records: Records[K][] = [];
      let chars = 0;
      let [lane, id] = after === null ? [0, ''] : (JSON.parse(after) as [number, string]);
      for (; lane < lanes; lane++, id = '') {
        const ids = await idsIn(lane);
        for (let at = id === '' ? 0 : ids.indexOf(id) + 1; at < ids.length; at += BATCHES) {
          const some = ids.slice(at, at + BATCHES);
          const found = new Map((await collection.find({ _id: { $in: some } }).toArray()).map((batch) => [batch._id, batch]));
          for (const next of some) {
            const batch = found.get(next);
            if (!batch) continue;
            id = next;
            chars += batch.lines.length;
            for (const line of batch.lines.split('\n')) records.push(toRecord(batch, decodeMessage(line)));
            if (records.length >= PAGE_ROWS || chars >= PAGE_CHARS) return { records, cursor: JSON.stringify([lane, id]), isLast: false };
          }
        }
      }
      return { records, cursor: JSON.stringify([lane, id]), isLast: true };
    },
    async write(records, before, session) {
      const documents: StoredBatch[] = [];
      let n = before;
      for (let start = 0, end = 0; start < records.length; start = end) {
        const place = placeOf(records[start]!);
        const isWith = (other: Pick<StoredBatch, 'lane' | 'at' | 'dueAt'>) =>
          other.lane === place.lane && other.at === place.at && other.dueAt === place.dueAt;
        while (end < records.length && isWith(placeOf(records[end]!))) end++;
        const messages = records.slice(start, end).map(({ message }) => message);
        documents.push(...toBatches(messages, { ...place, member: COPIED, next: () => ++n }));
      }
      if (documents.length > 0) await collection.insertMany(documents, { session });
    },
  };
}

const entityIn = (id: string, { entityType = 'DEVICE' }: { readonly entityType?: EntityType }): EntityRef => ({ entityType, id });

function historyOf(sample: StoredSample): Records['history'] {
  const { _id, tenantId, ts, expiresAt, v } = sample;
  const values = Object.entries(v).map(([key, stored]): KeyValue => [decodeKey(key), toValue(stored)]);
  return { tenantId, entity: entityIn(entityOfSample(_id), sample), ts, expiresAt: expiresAt?.getTime() ?? null, values };
}

function storedSample({ tenantId, entity, ts, expiresAt, values }: Records['history']): StoredSample {
  const v = Object.fromEntries(values.map(([key, value]) => [encodeKey(key), storedValue(value)]));
  const end = endOf(expiresAt);
  return { _id: sampleId(entity.id, ts), tenantId, ...kindOf(entity), ts, ...(end ? { expiresAt: end } : {}), v };
}

function latestOf(latest: StoredLatest): Records['latest'] {
  const { _id, tenantId, v } = latest;
  const values = Object.entries(v).map(([key, [ts, , stored]]) => ({ key: decodeKey(key), ts, value: toValue(stored) }));
  return { tenantId, entity: entityIn(entityOfLatest(_id), latest), values };
}

function storedLatest({ tenantId, entity, values }: Records['latest']): StoredLatest {
  // Before everything that comes later with the same ts.
  const v = Object.fromEntries(values.map(({ key, ts, value }): [string, LatestCell] => [encodeKey(key), [ts, 0, storedValue(value)]]));
  return { _id: latestId(tenantId, entity.id), tenantId, ...kindOf(entity), v };
}

export function tablesOf({ collections, lanes, now }: TablesOptions): { readonly [K in Kind]: Table<K> } {
  const { docs, relations, attributes, deadLetters, events } = collections;
  const stored = collections.batches;
  return {
    doc: oneEach(docs, toDoc, (doc) => storedDoc(doc, doc.version)),
    relation: oneEach(
      relations,
      (row) => ({ tenantId: row.tenantId, relation: toRelation(row) }),
      ({ tenantId, relation }) => storedRelation(tenantId, relation, relation.version ?? 0),
    ),
    attribute: oneEach(attributes, attributeOf, storedAttribute),
    counter: counters(collections.counters),
    deadLetter: oneEach(deadLetters, toDeadLetter, storedDeadLetter),
    downlink: downlinks(collections.downlinks),
    waiting: batches<'waiting'>(
      ...([stored, lanes, false] as const),
      ({ lane, at }, message) => ({ lane, appendedAt: at, message }),
      ({ lane, appendedAt }) => ({ lane, at: appendedAt, dueAt: null }),
    ),
    held: held(collections.held, lanes),
    delayed: batches<'delayed'>(
      ...([stored, lanes, true] as const),
      ({ dueAt }, message) => ({ dueAt: dueAt!, message }),
      ({ dueAt, message }) => ({ lane: laneOf(message.originator.id, lanes), at: now, dueAt }),
    ),
    kept: oneEach<'kept', StoredKept>(
      collections.kept,
      (row) => ({ seq: row.seq, kept: toKept(row), movedAt: row.movedAt ?? null }),
      ({ seq, kept, movedAt }) => ({ ...toStoredKept(kept, seq, lanes), ...(movedAt !== null && { movedAt }) }),
    ),
    nodeState: oneEach(collections.nodeStates, toNodeState, storedNodeState),
    event: oneEach(events, toEvent, storedEvent),
    history: oneEach(collections.history, historyOf, storedSample),
    latest: oneEach(collections.latest, latestOf, storedLatest),
  };
}
