import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '#engine/message.ts';
import type { Attribute } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { type Cell, cellOf, fromCell, typeNumber } from '../values.ts';
import type { Database } from './database.ts';
import type { Numbers } from './numbers.ts';

const scopeNumber = (scope: AttributeScope): number => ATTRIBUTE_SCOPES.indexOf(scope);

export function writeAttributes(db: Database, numbers: Numbers, writes: Readonly<Work['attributes']>): void {
  for (const write of writes) {
    const scope = scopeNumber(write.scope);
    if ('keys' in write) {
      const entity = numbers.knownEntity(write.tenantId, write.entity);
      if (entity === null) continue;
      for (const key of write.keys) db.run('DELETE FROM attributes WHERE entity = ? AND scope = ? AND key = ?', entity, scope, key);
    } else {
      db.run(
        `INSERT INTO attributes (entity, scope, key, ts, type, value) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET ts = excluded.ts, type = excluded.type, value = excluded.value`,
        numbers.entity(write.tenantId, write.entity),
        scope,
        write.key,
        write.lastUpdateTs,
        typeNumber(write.value),
        cellOf(write.value),
      );
    }
  }
}

interface AttributeRow {
  key: string;
  ts: number;
  type: number;
  value: Cell;
}

export function readAttributes(
  db: Database,
  numbers: Numbers,
  tenantId: string,
  entity: EntityRef,
  scope: AttributeScope,
  keys?: readonly string[],
): Attribute[] {
  const n = numbers.knownEntity(tenantId, entity);
  if (n === null) return [];
  const rows = keys
    ? db.all<AttributeRow>(
        'SELECT key, ts, type, value FROM attributes WHERE entity = ? AND scope = ? AND key IN (SELECT value FROM json_each(?))',
        n,
        scopeNumber(scope),
        JSON.stringify(keys),
      )
    : db.all<AttributeRow>('SELECT key, ts, type, value FROM attributes WHERE entity = ? AND scope = ?', n, scopeNumber(scope));
  return rows.map((row) => ({ key: row.key, value: fromCell(row.type, row.value), lastUpdateTs: row.ts }));
}
