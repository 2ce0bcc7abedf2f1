import type { Database } from './database.ts';

const STEP = 1000;
const TABLES = [
  ['history', 'entity, ts'],
  ['events', 'entity, type, createdTime, seq'],
  ['attributes', 'entity, scope, key'],
  ['latest', 'entity'],
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
