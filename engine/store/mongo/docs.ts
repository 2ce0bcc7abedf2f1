import type { AnyBulkWriteOperation, Collection, Filter } from 'mongodb';
import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import type { Doc, DocQuery, Collection as Kind, Page } from '#engine/store.ts';
import type { DocSave, Work } from '#engine/work.ts';
import { isDuplicateKey } from './errors.ts';
import { under } from './outcome.ts';
import { readPage } from './page.ts';
import { Again, type Part, type Transaction } from './transaction.ts';

export interface StoredDoc {
  /** `COLLECTION/ID` */
  readonly _id: string;
  readonly collection: Kind;
  readonly tenantId: string;
  readonly createdTime: number;
  readonly version: number;
  readonly name: string;
  readonly nameLower: string;
  readonly label?: string;
  readonly labelLower?: string;
  readonly kind?: string;
  readonly ref?: string;
  readonly state?: string;
  readonly customerId?: string;
  readonly uniqueKey?: string;
  /** JSON: BSON would change numbers, and has no lone surrogates and no keys with NUL. */
  readonly body: string;
  /** Of the body, to sort by: top-level keys. */
  readonly fields: Readonly<Record<string, string | number | null>>;
}

const COLUMNS = new Set(['createdTime', 'name', 'label', 'kind', 'state', 'version']);
const FIELD = /^[A-Za-z0-9_]{1,100}$/;
/** Of a text: those that begin alike for longer are in any order. */
const FIELD_CHARS = 100;
const MOST = 10_000;
/** MongoDB's limit of a document is 16 MB. */
const MOST_CHARS = 15_000_000;
const STEP = 500;

const idOf = (collection: Kind, id: string): string => `${collection}/${id}`;

/** Booleans are 0 and 1, as SQL has them; lists and objects count as there, and sort by how their text begins. */
function fieldsOf(body: Readonly<Record<string, unknown>>): StoredDoc['fields'] {
  const fields: Record<string, string | number | null> = {};
  for (const [key, value] of Object.entries(body)) {
    if (!FIELD.test(key) || value === undefined) continue;
    if (typeof value === 'number') fields[key] = Number.isFinite(value) ? value : null;
    else if (typeof value === 'boolean') fields[key] = Number(value);
    else fields[key] = value === null ? null : (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, FIELD_CHARS);
  }
  return fields;
}

export function storedDoc(doc: Doc, version: number): StoredDoc {
  const { collection, id, tenantId, createdTime, name, label, kind, ref, state, customerId, uniqueKey, body } = doc;
  const stored: StoredDoc = {
    _id: idOf(collection, id),
    collection,
    tenantId,
    createdTime,
    version,
    name,
    nameLower: name.toLowerCase(),
    // Left out when there is none: the partial indexes hold only what has one.
    label: label ?? undefined,
    labelLower: label?.toLowerCase(),
    kind: kind ?? undefined,
    ref: ref ?? undefined,
    state: state ?? undefined,
    customerId: customerId ?? undefined,
    uniqueKey: uniqueKey ?? undefined,
    body: JSON.stringify(body),
    fields: fieldsOf(body),
  };
  if (stored.body.length > MOST_CHARS) throw new AppError('too-large', 'never', `${collection} is too large to be stored`);
  return stored;
}

export function toDoc(row: StoredDoc): Doc {
  const { _id, collection, tenantId, createdTime, version, name, label = null, kind = null, ref = null, state = null } = row;
  const { customerId = null, uniqueKey = null, body } = row;
  const id = _id.slice(collection.length + 1);
  return { collection, id, tenantId, createdTime, version, name, label, kind, ref, state, customerId, uniqueKey, body: JSON.parse(body) };
}

/** As much of a document as its next save depends on. */
type Known = Pick<StoredDoc, '_id' | 'collection' | 'tenantId' | 'version' | 'uniqueKey' | 'ref'>;
const KNOWN = { collection: 1, tenantId: 1, version: 1, uniqueKey: 1, ref: 1 } as const;

/** What the transaction has found and written so far, so that every save is checked as if it were alone. */
class Pending {
  readonly operations: AnyBulkWriteOperation<StoredDoc>[] = [];
  private readonly byId = new Map<string, Known>();
  private readonly byKey = new Map<string, string>();

  constructor(found: readonly Known[]) {
    for (const row of found) this.put(row);
  }

  save({ doc, expects }: DocSave): void {
    const { collection, tenantId, uniqueKey } = doc;
    const _id = idOf(collection, doc.id);
    const stored = this.byId.get(_id);
    // Ids are unique over all tenants: taking another's over would hand its entity to this one.
    if (stored && stored.tenantId !== tenantId) throw new Duplicate(`${collection} with this id already exists`, { key: 'id' });
    if (expects !== undefined && expects !== (stored?.version ?? 0)) throw new VersionConflict(collection);
    if (uniqueKey !== undefined && uniqueKey !== null) {
      const holder = this.byKey.get(`${collection}/${uniqueKey}`);
      if (holder !== undefined && holder !== _id) throw new Duplicate(`${collection} with this key already exists`, { key: uniqueKey });
    }
    const row = storedDoc(doc, (stored?.version ?? 0) + 1);
    if (stored) {
      const { _id: _, ...replacement } = row;
      this.operations.push({ replaceOne: { filter: { _id, tenantId }, replacement } });
      this.forget(stored);
    } else this.operations.push({ insertOne: { document: row } });
    this.put(row);
  }

  /** False: it is not there, or another tenant's. */
  remove(collection: Kind, tenantId: string, id: string): boolean {
    const stored = this.byId.get(idOf(collection, id));
    if (stored?.tenantId !== tenantId) return false;
    this.operations.push({ deleteOne: { filter: { _id: stored._id, tenantId } } });
    this.forget(stored);
    return true;
  }

  /** Ids of the alarms of an entity. */
  alarmsOf(tenantId: string, originatorId: string): string[] {
    const alarms = [...this.byId.values()].filter((row) => row.collection === 'ALARM' && row.tenantId === tenantId && row.ref === originatorId);
    return alarms.map(({ _id }) => _id.slice('ALARM/'.length));
  }

  private put(row: Known): void {
    this.byId.set(row._id, row);
    if (row.uniqueKey !== undefined) this.byKey.set(`${row.collection}/${row.uniqueKey}`, row._id);
  }

  private forget(row: Known): void {
    this.byId.delete(row._id);
    if (row.uniqueKey !== undefined) this.byKey.delete(`${row.collection}/${row.uniqueKey}`);
  }
}

/** What has to be known before: the documents themselves, who has their unique keys, and alarms of deleted entities. Null: nothing is written at all. */
function neededBy(works: readonly Work[]): Filter<StoredDoc> | null {
  const ids = new Set<string>();
  const keys = new Map<Kind, Set<string>>();
  const alarms = new Map<string, Set<string>>();
  const add = <K>(sets: Map<K, Set<string>>, of: K, text: string) => void sets.set(of, (sets.get(of) ?? new Set()).add(text));
  for (const work of works) {
    for (const entry of work.docs) {
      const { collection, id } = 'remove' in entry ? entry.remove : entry.doc;
      ids.add(idOf(collection, id));
      if ('doc' in entry && typeof entry.doc.uniqueKey === 'string') add(keys, collection, entry.doc.uniqueKey);
    }
    for (const { tenantId, entity } of work.purges) add(alarms, tenantId, entity.id);
  }
  const conditions: Filter<StoredDoc>[] = [];
  if (ids.size > 0) conditions.push({ _id: { $in: [...ids] } });
  for (const [collection, taken] of keys) conditions.push({ collection, uniqueKey: { $in: [...taken] } });
  for (const [tenantId, refs] of alarms) conditions.push({ tenantId, collection: 'ALARM', ref: { $in: [...refs] } });
  if (conditions.length === 0) return null;
  return conditions.length === 1 ? conditions[0]! : { $or: conditions };
}

export class Docs implements Part {
  private readonly docs: Collection<StoredDoc>;

  constructor({ docs }: { docs: Collection<StoredDoc> }) {
    this.docs = docs;
  }

  async write(works: readonly Work[], { session, changes }: Transaction): Promise<void> {
    const needed = neededBy(works);
    if (!needed) return;
    // Over all tenants, because ids and unique keys are.
    const pending = new Pending(await this.docs.find<Known>(needed, { session, projection: KNOWN }).toArray());
    for (const work of works) {
      for (const entry of work.docs) {
        if ('remove' in entry) {
          const { collection, tenantId, id } = entry.remove;
          if (pending.remove(collection, tenantId, id)) changes.push({ collection, tenantId, id, removed: true });
        } else {
          const { collection, tenantId, id } = entry.doc;
          pending.save(entry);
          changes.push({ collection, tenantId, id, removed: false });
        }
      }
      for (const { tenantId, entity } of work.purges) {
        for (const id of pending.alarmsOf(tenantId, entity.id)) {
          pending.remove('ALARM', tenantId, id);
          changes.push({ collection: 'ALARM', tenantId, id, removed: true });
        }
      }
    }
    if (pending.operations.length === 0) return;
    try {
      await this.docs.bulkWrite(pending.operations, { session, ordered: true });
    } catch (cause) {
      // Saved by another process since we looked: the next look finds it.
      if (isDuplicateKey(cause)) throw new Again('a document or its key is there by now', { cause });
      throw cause;
    }
  }

  async doc(collection: Kind, tenantId: string, id: string): Promise<Doc | null> {
    return this.one({ _id: idOf(collection, id), tenantId });
  }

  async docByKey(collection: Kind, uniqueKey: string): Promise<Doc | null> {
    return this.one({ collection, uniqueKey });
  }

  async docByName(collection: Kind, tenantId: string, name: string): Promise<Doc | null> {
    return this.one({ tenantId, collection, name });
  }

  async ownerOf(collection: Kind, id: string): Promise<string | null> {
    return (await this.docs.findOne({ _id: idOf(collection, id) }, { projection: { tenantId: 1 } }))?.tenantId ?? null;
  }

  async page(collection: Kind, tenantId: string, query: DocQuery): Promise<Page<Doc>> {
    const direction = query.order === 'DESC' ? -1 : 1;
    const by = await this.sortedBy(collection, query.sortBy);
    return readPage(this.docs, filterOf(collection, tenantId, query), {
      sort: by === '_id' ? { _id: direction } : { [by]: direction, _id: direction },
      page: Math.max(0, query.page ?? 0),
      pageSize: Math.max(1, Math.min(query.pageSize ?? MOST, MOST)),
      map: toDoc,
    });
  }

  async *everyDoc(collection: Kind): AsyncGenerator<Doc> {
    for await (const row of this.docs.find({ _id: under(idOf(collection, '')) }, { sort: { _id: 1 }, batchSize: STEP })) yield toDoc(row);
  }

  private async one(filter: Filter<StoredDoc>): Promise<Doc | null> {
    const row = await this.docs.findOne(filter, { sort: { _id: 1 } });
    return row && toDoc(row);
  }

  /** A key that no body of the collection has is a mistake of the caller; an empty collection can not tell. */
  private async sortedBy(collection: Kind, sortBy = 'createdTime'): Promise<string> {
    if (COLUMNS.has(sortBy)) return sortBy;
    if (sortBy === 'id') return '_id';
    const unknown = new AppError('sort', 'never', 'Database error', { details: { sortBy } });
    if (!FIELD.test(sortBy)) throw unknown;
    const path = `fields.${sortBy}`;
    const _id = under(idOf(collection, ''));
    const used = await this.docs.findOne({ _id, [path]: { $exists: true } } as Filter<StoredDoc>, { projection: { _id: 1 } });
    if (!used && (await this.docs.findOne({ _id }, { projection: { _id: 1 } }))) throw unknown;
    return path;
  }
}

function filterOf(collection: Kind, tenantId: string, query: DocQuery): Filter<StoredDoc> {
  const { kind, ref, states, customerId, ids, startTime, endTime, textSearch } = query;
  const text = textSearch ? { $regex: textPattern(textSearch) } : null;
  return {
    tenantId,
    collection,
    ...(kind !== undefined && { kind }),
    ...(ref !== undefined && { ref }),
    ...(states && { state: { $in: [...states] } }),
    ...(ids && { _id: { $in: ids.map((id) => idOf(collection, id)) } }),
    // Null finds what has none.
    ...(customerId !== undefined && { customerId: customerId as string }),
    // Whole milliseconds.
    ...((startTime !== undefined || endTime !== undefined) && {
      createdTime: { $gte: startTime, $lt: endTime === undefined ? undefined : endTime + 1 },
    }),
    ...(text && { $or: [{ nameLower: text }, { labelLower: text }] }),
  } as Filter<StoredDoc>;
}

/** What the words of a text search are found by: everything is itself but `%`. MongoDB refuses a pattern with a NUL in it. */
function textPattern(text: string): string {
  const words = text.toLowerCase().split(/%+/);
  return words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('\0', '\\x00')).join('[\\s\\S]*');
}
