import type { EntityRef } from '#engine/message.ts';
import type { Database } from './database.ts';

/** More are forgotten and read again: 200,000 names are about 30 MB. */
const CACHED = 200_000;

/** Names of one table (`entities`, `owners`, `keys`) by number and back, given out in the running transaction. */
class Dictionary {
  private readonly byName = new Map<string, number>();
  private fresh: string[] = [];
  private readonly db: Database;
  private readonly select: string;
  private readonly insert: string;

  constructor(db: Database, select: string, insert: string) {
    this.db = db;
    this.select = select;
    this.insert = insert;
  }

  find(cacheKey: string, ...parts: string[]): number | null {
    const known = this.byName.get(cacheKey);
    if (known !== undefined) return known;
    const row = this.db.get<{ n: number }>(this.select, ...parts);
    if (!row) return null;
    this.remember(cacheKey, row.n);
    return row.n;
  }

  findOrAdd(cacheKey: string, ...parts: string[]): number {
    const found = this.find(cacheKey, ...parts);
    if (found !== null) return found;
    const n = Number(this.db.prepare(this.insert).run(...parts).lastInsertRowid);
    this.fresh.push(cacheKey);
    this.remember(cacheKey, n);
    return n;
  }

  forget(cacheKey: string): void {
    this.byName.delete(cacheKey);
  }

  committed(): void {
    if (this.fresh.length > 0) this.fresh = [];
  }

  /** Numbers that were given out since the last commit may be taken back: look them up again. */
  rolledBack(): void {
    for (const cacheKey of this.fresh) this.byName.delete(cacheKey);
  }

  private remember(cacheKey: string, n: number): void {
    if (this.byName.size >= CACHED) this.byName.clear();
    this.byName.set(cacheKey, n);
  }
}

/** The numbers by which rows name entities, owners of a ledger, and telemetry keys. An entity's number belongs to one tenant: rows under it need no other. */
export class Numbers {
  private readonly db: Database;
  private readonly entities: Dictionary;
  private readonly owners: Dictionary;
  private readonly keys: Dictionary;
  private readonly keyNames = new Map<number, string>();

  constructor(db: Database) {
    this.db = db;
    this.entities = new Dictionary(
      db,
      'SELECT n FROM entities WHERE tenantId = ? AND id = ? AND entityType = ?',
      'INSERT INTO entities (tenantId, id, entityType) VALUES (?, ?, ?)',
    );
    this.owners = new Dictionary(db, 'SELECT n FROM owners WHERE tenantId = ? AND id = ?', 'INSERT INTO owners (tenantId, id) VALUES (?, ?)');
    this.keys = new Dictionary(db, 'SELECT n FROM keys WHERE key = ?', 'INSERT INTO keys (key) VALUES (?)');
  }

  entity(tenantId: string, entity: EntityRef): number {
    return this.entities.findOrAdd(tenantId + entity.id + entity.entityType, tenantId, entity.id, entity.entityType);
  }

  knownEntity(tenantId: string, entity: EntityRef): number | null {
    return this.entities.find(tenantId + entity.id + entity.entityType, tenantId, entity.id, entity.entityType);
  }

  /** The entity's next rows get another number; what stands under the old one is swept away later. */
  retireEntity(tenantId: string, entity: EntityRef): number | null {
    const n = this.knownEntity(tenantId, entity);
    if (n === null) return null;
    this.db.run('INSERT INTO purged (entity) VALUES (?)', n);
    this.db.run("UPDATE entities SET tenantId = '', id = ?, entityType = '' WHERE n = ?", `purged ${n}`, n);
    this.entities.forget(tenantId + entity.id + entity.entityType);
    return n;
  }

  owner(tenantId: string, id: string): number {
    return this.owners.findOrAdd(tenantId + id, tenantId, id);
  }

  knownOwner(tenantId: string, id: string): number | null {
    return this.owners.find(tenantId + id, tenantId, id);
  }

  key(key: string): number {
    return this.keys.findOrAdd(key, key);
  }

  knownKey(key: string): number | null {
    return this.keys.find(key, key);
  }

  keyName(n: number): string {
    let name = this.keyNames.get(n);
    if (name === undefined) {
      name = this.db.get<{ key: string }>('SELECT key FROM keys WHERE n = ?', n)?.key ?? '';
      if (this.keyNames.size >= CACHED) this.keyNames.clear();
      this.keyNames.set(n, name);
    }
    return name;
  }

  committed(): void {
    this.entities.committed();
    this.owners.committed();
    this.keys.committed();
  }

  rolledBack(): void {
    this.entities.rolledBack();
    this.owners.rolledBack();
    this.keys.rolledBack();
    this.keyNames.clear();
  }
}
