import { AppError, Duplicate, VersionConflict } from '#engine/errors.ts';
import type { Change } from '#engine/queue.ts';
import type { Collection, Doc, DocQuery, Page } from '#engine/store.ts';
import type { DocSave, Work } from '#engine/work.ts';
import { pageOf } from '../page.ts';
import type { Database, Row } from './database.ts';

export const COLUMNS = 'collection, id, tenantId, createdTime, version, name, label, kind, ref, state, customerId, uniqueKey, body';
const SORTABLE = new Set(['createdTime', 'name', 'label', 'kind', 'state', 'version', 'id']);
const MOST = 10_000;

export const toDoc = (row: Row): Doc => ({ ...row, body: JSON.parse(row['body'] as string) }) as unknown as Doc;

export function writeDocs(db: Database, docs: Work['docs'], changes: Change[]): void {
  for (const entry of docs) {
    if ('remove' in entry) {
      const { collection, tenantId, id } = entry.remove;
      const removed = db.run('DELETE FROM docs WHERE collection = ? AND id = ? AND tenantId = ?', collection, id, tenantId);
      if (removed > 0) changes.push({ collection, tenantId, id, removed: true });
    } else {
      saveDoc(db, entry);
      changes.push({ collection: entry.doc.collection, tenantId: entry.doc.tenantId, id: entry.doc.id, removed: false });
    }
  }
}

function saveDoc(db: Database, { doc, expects }: DocSave): void {
  const stored = db.get<{ version: number; tenantId: string }>(
    'SELECT version, tenantId FROM docs WHERE collection = ? AND id = ?',
    doc.collection,
    doc.id,
  );
  // Ids are unique over all tenants: taking another's over would hand its entity to this one.
  if (stored && stored.tenantId !== doc.tenantId) throw new Duplicate(`${doc.collection} with this id already exists`, { key: 'id' });
  if (expects !== undefined && expects !== (stored?.version ?? 0)) throw new VersionConflict(doc.collection);
  if (doc.uniqueKey !== undefined && doc.uniqueKey !== null) {
    const holder = db.get<{ id: string }>('SELECT id FROM docs WHERE collection = ? AND uniqueKey = ?', doc.collection, doc.uniqueKey);
    if (holder && holder.id !== doc.id) throw new Duplicate(`${doc.collection} with this key already exists`, { key: doc.uniqueKey });
  }
  putDoc(db, { ...doc, version: (stored?.version ?? 0) + 1 });
}

/** With the version that it has. */
export function putDoc(db: Database, doc: Doc): void {
  const { label = null, kind = null, ref = null, state = null, customerId = null, uniqueKey = null } = doc;
  db.run(
    `INSERT OR REPLACE INTO docs (${COLUMNS}, nameLower, labelLower) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    doc.collection,
    doc.id,
    doc.tenantId,
    doc.createdTime,
    doc.version,
    doc.name,
    label,
    kind,
    ref,
    state,
    customerId,
    uniqueKey,
    JSON.stringify(doc.body),
    doc.name.toLowerCase(),
    label?.toLowerCase() ?? null,
  );
}

export class DocReads {
  private readonly db: Database;

  constructor(db: Database) {
    this.db = db;
  }

  doc(collection: Collection, tenantId: string, id: string): Doc | null {
    return this.one('collection = ? AND id = ? AND tenantId = ?', collection, id, tenantId);
  }

  docByKey(collection: Collection, uniqueKey: string): Doc | null {
    return this.one('collection = ? AND uniqueKey = ?', collection, uniqueKey);
  }

  docByName(collection: Collection, tenantId: string, name: string): Doc | null {
    return this.one('collection = ? AND tenantId = ? AND name = ? ORDER BY id LIMIT 1', collection, tenantId, name);
  }

  ownerOf(collection: Collection, id: string): string | null {
    return this.db.get<{ tenantId: string }>('SELECT tenantId FROM docs WHERE collection = ? AND id = ?', collection, id)?.tenantId ?? null;
  }

  docs(collection: Collection, tenantId: string, query: DocQuery): Page<Doc> {
    const where = ['collection = ?', 'tenantId = ?'];
    const values: (string | number)[] = [collection, tenantId];
    const and = (condition: string, ...more: (string | number)[]) => {
      where.push(condition);
      values.push(...more);
    };
    if (query.kind !== undefined) and('kind = ?', query.kind);
    if (query.ref !== undefined) and('ref = ?', query.ref);
    if (query.states) and('state IN (SELECT value FROM json_each(?))', JSON.stringify(query.states));
    if (query.ids) and('id IN (SELECT value FROM json_each(?))', JSON.stringify(query.ids));
    if (query.customerId === null) and('customerId IS NULL');
    else if (query.customerId !== undefined) and('customerId = ?', query.customerId);
    if (query.startTime !== undefined) and('createdTime >= ?', query.startTime);
    if (query.endTime !== undefined) and('createdTime <= ?', query.endTime);
    if (query.textSearch) {
      const pattern = `%${query.textSearch.toLowerCase().replace(/[\\_]/g, '\\$&')}%`;
      and("(nameLower LIKE ? ESCAPE '\\' OR labelLower LIKE ? ESCAPE '\\')", pattern, pattern);
    }
    const filter = where.join(' AND ');
    const total = this.db.get<{ n: number }>(`SELECT count(*) AS n FROM docs WHERE ${filter}`, ...values)!.n;
    const order = query.order === 'DESC' ? 'DESC' : 'ASC';
    const pageSize = Math.max(1, Math.min(query.pageSize ?? MOST, MOST));
    const page = Math.max(0, query.page ?? 0);
    const rows = this.db.all(
      `SELECT ${COLUMNS} FROM docs WHERE ${filter} ORDER BY ${this.sortedBy(collection, query.sortBy)} ${order}, id ${order} LIMIT ? OFFSET ?`,
      ...values,
      pageSize,
      page * pageSize,
    );
    return pageOf(rows.map(toDoc), total, page, pageSize);
  }

  async *everyDoc(collection: Collection): AsyncGenerator<Doc> {
    let after = '';
    for (;;) {
      const rows = this.db.all(`SELECT ${COLUMNS} FROM docs WHERE collection = ? AND id > ? ORDER BY id LIMIT 500`, collection, after);
      for (const row of rows) yield toDoc(row);
      if (rows.length < 500) return;
      after = rows.at(-1)!['id'] as string;
    }
  }

  private one(where: string, ...values: string[]): Doc | null {
    const row = this.db.get(`SELECT ${COLUMNS} FROM docs WHERE ${where}`, ...values);
    return row ? toDoc(row) : null;
  }

  /** A key that no body of the collection has is a mistake of the caller; an empty collection can not tell. */
  private sortedBy(collection: Collection, sortBy = 'createdTime'): string {
    if (SORTABLE.has(sortBy)) return sortBy;
    const unknown = new AppError('sort', 'never', 'Database error', { details: { sortBy } });
    if (!/^[A-Za-z0-9_]{1,100}$/.test(sortBy)) throw unknown;
    const path = `'$.${sortBy}'`;
    const used = this.db.get(`SELECT 1 FROM docs WHERE collection = ? AND json_type(body, ${path}) IS NOT NULL LIMIT 1`, collection);
    if (!used && this.db.get('SELECT 1 FROM docs WHERE collection = ? LIMIT 1', collection)) throw unknown;
    return `json_extract(body, ${path})`;
  }
}

/** Alarms of a deleted entity. */
export function purgeAlarms(db: Database, tenantId: string, originatorId: string, changes: Change[]): void {
  for (const { id } of db.all<{ id: string }>(
    "DELETE FROM docs WHERE collection = 'ALARM' AND tenantId = ? AND ref = ? RETURNING id",
    tenantId,
    originatorId,
  )) {
    changes.push({ collection: 'ALARM', tenantId, id, removed: true });
  }
}
