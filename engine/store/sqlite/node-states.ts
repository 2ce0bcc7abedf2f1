import type { EntityRef } from '#engine/message.ts';
import type { Work } from '#engine/work.ts';
import type { Database } from './database.ts';
import type { Numbers } from './numbers.ts';
import { isPurgedTenant } from './purged.ts';

const nodeRef = (id: string): EntityRef => ({ entityType: 'RULE_NODE', id });

export function writeNodeStates(db: Database, numbers: Numbers, states: Work['nodeStates']): void {
  for (const { tenantId, nodeId, key, value } of states) {
    const entity = numbers.entity(tenantId, nodeRef(nodeId));
    if (value === null || value === undefined) db.run('DELETE FROM node_states WHERE entity = ? AND key = ?', entity, key);
    else db.run('INSERT OR REPLACE INTO node_states (entity, key, value) VALUES (?, ?, ?)', entity, key, JSON.stringify(value));
  }
}

export function readNodeState(db: Database, numbers: Numbers, tenantId: string, nodeId: string, key: string): unknown {
  const entity = numbers.knownEntity(tenantId, nodeRef(nodeId));
  if (entity === null || isPurgedTenant(db, tenantId)) return null;
  const row = db.get<{ value: string }>('SELECT value FROM node_states WHERE entity = ? AND key = ?', entity, key);
  return row ? JSON.parse(row.value) : null;
}
