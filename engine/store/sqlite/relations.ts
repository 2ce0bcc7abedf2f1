import type { EntityRef, EntityType } from '#engine/message.ts';
import type { Relation } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { Database } from './database.ts';

export function writeRelations(db: Database, writes: Work['relations']): void {
  for (const write of writes) {
    if ('save' in write) {
      putRelation(db, write.tenantId, write.save, nextVersion(db));
    } else {
      const { from, to, type, typeGroup } = write.remove;
      db.run(
        'DELETE FROM relations WHERE tenantId = ? AND fromId = ? AND fromType = ? AND typeGroup = ? AND type = ? AND toId = ? AND toType = ?',
        write.tenantId,
        from.id,
        from.entityType,
        typeGroup,
        type,
        to.id,
        to.entityType,
      );
    }
  }
}

export function putRelation(db: Database, tenantId: string, { from, to, type, typeGroup, additionalInfo }: Relation, version: number): void {
  db.run(
    'INSERT OR REPLACE INTO relations (tenantId, fromId, fromType, typeGroup, type, toId, toType, version, info) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    tenantId,
    from.id,
    from.entityType,
    typeGroup,
    type,
    to.id,
    to.entityType,
    version,
    additionalInfo === undefined ? null : JSON.stringify(additionalInfo),
  );
}

/** One counter for the whole server, as clients know it from ThingsBoard (specs: rest-api §8, 1.1). */
function nextVersion(db: Database): number {
  return db.get<{ value: number }>(
    "INSERT INTO settings (name, value) VALUES ('relationVersion', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
  )!.value;
}

export function purgeRelations(db: Database, tenantId: string, entity: EntityRef): void {
  db.run('DELETE FROM relations WHERE tenantId = ? AND fromId = ? AND fromType = ?', tenantId, entity.id, entity.entityType);
  db.run('DELETE FROM relations WHERE tenantId = ? AND toId = ? AND toType = ?', tenantId, entity.id, entity.entityType);
}

export interface RelationRow {
  fromId: string;
  fromType: EntityType;
  typeGroup: string;
  type: string;
  toId: string;
  toType: EntityType;
  version: number;
  info: string | null;
}

export const toRelation = (row: RelationRow): Relation => ({
  from: { entityType: row.fromType, id: row.fromId },
  to: { entityType: row.toType, id: row.toId },
  type: row.type,
  typeGroup: row.typeGroup,
  version: row.version,
  ...(row.info === null ? {} : { additionalInfo: JSON.parse(row.info) }),
});

export function readRelations(
  db: Database,
  tenantId: string,
  query: { from?: EntityRef; to?: EntityRef; type?: string; typeGroup?: string },
): Relation[] {
  const where = ['tenantId = ?'];
  const values = [tenantId];
  if (query.from) {
    where.push('fromId = ?', 'fromType = ?');
    values.push(query.from.id, query.from.entityType);
  }
  if (query.to) {
    where.push('toId = ?', 'toType = ?');
    values.push(query.to.id, query.to.entityType);
  }
  if (query.typeGroup !== undefined) {
    where.push('typeGroup = ?');
    values.push(query.typeGroup);
  }
  if (query.type !== undefined) {
    where.push('type = ?');
    values.push(query.type);
  }
  return db.all<RelationRow>(`SELECT * FROM relations WHERE ${where.join(' AND ')} ORDER BY version`, ...values).map(toRelation);
}
