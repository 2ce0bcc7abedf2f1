import type { KeptMessages } from '#engine/queue/sqlite/kept.ts';
import type { Attempt } from './committer.ts';
import type { Database } from './database.ts';

const STEP = 1000;
const TABLES = [
  ['history', 'entity, ts'],
  ['events', 'entity, type, createdTime, seq'],
  ['attributes', 'entity, scope, key'],
  ['latest', 'entity'],
  ['node_states', 'entity, key'],
] as const;

/** Removes, in the running transaction, some rows of a deleted entity; its number is free when none is left. True when there may be more. */
export function sweepPurged(db: Database): boolean {
  const entity = db.get<{ entity: number }>('SELECT entity FROM purged LIMIT 1')?.entity;
  if (entity === undefined) return false;
  for (const [table, key] of TABLES) {
    if (db.run(`DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE entity = ? LIMIT ${STEP})`, entity) === STEP) return true;
  }
  db.run('DELETE FROM purged WHERE entity = ?', entity);
  db.run('DELETE FROM entities WHERE n = ?', entity);
  return true;
}

/** In the running transaction: nobody is given anything more of what the nodes of a deleted tenant keep. */
export function purgeTenant(db: Database, tenantId: string): void {
  db.run('INSERT OR IGNORE INTO purged_tenants (tenantId) VALUES (?)', tenantId);
}

export const isPurgedTenant = (db: Database, tenantId: string): boolean =>
  db.get('SELECT 1 FROM purged_tenants WHERE tenantId = ?', tenantId) !== undefined;

/** Removes, in the running transaction, some of what the nodes of a deleted tenant keep and remember. True when there may be more. */
export function sweepTenants(db: Database, kept: KeptMessages, attempt: Attempt): boolean {
  const tenantId = db.get<{ tenantId: string }>('SELECT tenantId FROM purged_tenants LIMIT 1')?.tenantId;
  if (tenantId === undefined) return false;
  if (kept.removeSome(tenantId, attempt)) return true;
  const states = `SELECT entity, key FROM entities JOIN node_states ON entity = n WHERE tenantId = ? LIMIT ${STEP}`;
  if (db.run(`DELETE FROM node_states WHERE (entity, key) IN (${states})`, tenantId) === STEP) return true;
  db.run('DELETE FROM purged_tenants WHERE tenantId = ?', tenantId);
  return true;
}
