/** One step of the schema. Steps are never edited once released: a change is a new step at the end. */
export interface Migration {
  readonly version: number;
  readonly sql: string;
}

/**
 * Queue and store share one file, so that the effects of a batch and its removal from the lane are one transaction.
 * Rows that grow with traffic name their entity and owner by a number of `entities` / `owners`: a UUID in each would double their size.
 */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    sql: `
CREATE TABLE settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- AUTOINCREMENT: the number of a deleted entity never becomes another's, whatever rows are still under it.
CREATE TABLE entities (n INTEGER PRIMARY KEY AUTOINCREMENT, tenantId TEXT NOT NULL, entityType TEXT NOT NULL, id TEXT NOT NULL, UNIQUE (tenantId, id, entityType));
CREATE TABLE owners (n INTEGER PRIMARY KEY, tenantId TEXT NOT NULL, id TEXT NOT NULL, UNIQUE (tenantId, id));
CREATE TABLE keys (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

CREATE TABLE docs (
  collection TEXT NOT NULL, id TEXT NOT NULL, tenantId TEXT NOT NULL, createdTime INTEGER NOT NULL, version INTEGER NOT NULL,
  name TEXT NOT NULL, label TEXT, kind TEXT, ref TEXT, state TEXT, customerId TEXT, uniqueKey TEXT,
  nameLower TEXT NOT NULL, labelLower TEXT, body TEXT NOT NULL,
  PRIMARY KEY (collection, id));
CREATE UNIQUE INDEX docs_key ON docs (collection, uniqueKey) WHERE uniqueKey IS NOT NULL;
CREATE INDEX docs_time ON docs (collection, tenantId, createdTime, id);
CREATE INDEX docs_name ON docs (collection, tenantId, name, id);
CREATE INDEX docs_ref ON docs (collection, tenantId, ref) WHERE ref IS NOT NULL;
CREATE INDEX docs_customer ON docs (collection, tenantId, customerId) WHERE customerId IS NOT NULL;

CREATE TABLE attributes (entity INTEGER NOT NULL, scope INTEGER NOT NULL, key TEXT NOT NULL, ts INTEGER NOT NULL, type INTEGER NOT NULL, value, PRIMARY KEY (entity, scope, key)) WITHOUT ROWID;
-- One row an entity and ts, all keys of that moment in it: a sample costs one insert, however many values it has.
CREATE TABLE history (entity INTEGER NOT NULL, ts INTEGER NOT NULL, expiresAt INTEGER, cells TEXT NOT NULL, PRIMARY KEY (entity, ts)) WITHOUT ROWID;
CREATE INDEX history_expiry ON history (expiresAt) WHERE expiresAt IS NOT NULL;
CREATE TABLE latest (entity INTEGER PRIMARY KEY, cells TEXT NOT NULL);
-- Samples that are durable and not yet sorted into history and latest (journal.ts says why).
CREATE TABLE journal (seq INTEGER PRIMARY KEY, samples TEXT NOT NULL);

CREATE TABLE relations (
  tenantId TEXT NOT NULL, fromId TEXT NOT NULL, fromType TEXT NOT NULL, typeGroup TEXT NOT NULL, type TEXT NOT NULL, toId TEXT NOT NULL, toType TEXT NOT NULL,
  version INTEGER NOT NULL, info TEXT, PRIMARY KEY (tenantId, fromId, fromType, typeGroup, type, toId, toType)) WITHOUT ROWID;
CREATE INDEX relations_to ON relations (tenantId, toId, toType);

CREATE TABLE events (entity INTEGER NOT NULL, type TEXT NOT NULL, createdTime INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (entity, type, createdTime, seq)) WITHOUT ROWID;
-- Numbers of entities that were deleted: a sweep removes what is left of them in small steps.
CREATE TABLE purged (entity INTEGER PRIMARY KEY);

CREATE TABLE dead_letters (id TEXT PRIMARY KEY, tenantId TEXT NOT NULL, owner TEXT NOT NULL, createdTime INTEGER NOT NULL, payload BLOB NOT NULL, rest TEXT NOT NULL);
CREATE INDEX dead_letters_time ON dead_letters (tenantId, createdTime, id);
CREATE INDEX dead_letters_owner ON dead_letters (tenantId, owner, createdTime, id);

CREATE TABLE counters (owner INTEGER NOT NULL, counter TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (owner, counter)) WITHOUT ROWID;

-- One row a run of messages of one commit, lane and owner: one message a line.
CREATE TABLE lane (seq INTEGER PRIMARY KEY, lane INTEGER NOT NULL, owner INTEGER NOT NULL, n INTEGER NOT NULL, appendedAt INTEGER NOT NULL, messages TEXT NOT NULL);
CREATE INDEX lane_owner ON lane (owner, n);
CREATE TABLE held (originator TEXT NOT NULL, pos INTEGER NOT NULL, lane INTEGER NOT NULL, owner INTEGER NOT NULL, notBefore INTEGER NOT NULL, message TEXT NOT NULL,
  PRIMARY KEY (originator, pos)) WITHOUT ROWID;
CREATE INDEX held_owner ON held (owner);
CREATE TABLE delayed (seq INTEGER PRIMARY KEY, owner INTEGER NOT NULL, dueAt INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX delayed_due ON delayed (dueAt);
CREATE INDEX delayed_owner ON delayed (owner);

CREATE TABLE downlinks (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, owner INTEGER NOT NULL, tenantId TEXT NOT NULL, integrationId TEXT NOT NULL, entityType TEXT NOT NULL, entityId TEXT NOT NULL,
  createdTime INTEGER NOT NULL, delivery TEXT NOT NULL, policy TEXT NOT NULL, expiresAt INTEGER NOT NULL, state TEXT NOT NULL, history TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX downlinks_entity ON downlinks (tenantId, entityId, createdTime);
-- What waits, and only that: QUEUED or CONVERTED.
CREATE INDEX downlinks_owner ON downlinks (owner) WHERE state IN ('QUEUED', 'CONVERTED');
CREATE INDEX downlinks_waiting ON downlinks (integrationId, delivery, seq) WHERE state IN ('QUEUED', 'CONVERTED');
CREATE INDEX downlinks_slot ON downlinks (integrationId, entityId, seq) WHERE state IN ('QUEUED', 'CONVERTED');
CREATE INDEX downlinks_expiry ON downlinks (expiresAt) WHERE state IN ('QUEUED', 'CONVERTED');
`,
  },
  {
    version: 2,
    sql: `
-- In the order in which they were kept; \`node\` is a number of \`owners\`. \`sendLane\` null: the node itself looks after it.
CREATE TABLE kept (
  seq INTEGER PRIMARY KEY, node INTEGER NOT NULL, key TEXT NOT NULL, messageId TEXT NOT NULL, sendLane INTEGER, owner INTEGER NOT NULL,
  keptAt INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT, movedAt INTEGER, message TEXT NOT NULL);
CREATE UNIQUE INDEX kept_message ON kept (messageId, node);
-- The row's seq is in each of them, behind what is named here: so they give the order, too.
CREATE INDEX kept_node ON kept (node);
CREATE INDEX kept_key ON kept (node, key);
CREATE INDEX kept_lane ON kept (sendLane) WHERE sendLane IS NOT NULL;
CREATE INDEX kept_owner ON kept (owner);
CREATE INDEX kept_moved ON kept (node, movedAt) WHERE movedAt IS NOT NULL;
CREATE INDEX kept_key_moved ON kept (node, key, movedAt) WHERE movedAt IS NOT NULL;
-- What rule nodes remember: goes with its node, like everything under a number of \`entities\`.
CREATE TABLE node_states (entity INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (entity, key)) WITHOUT ROWID;
-- Deleted tenants: a sweep removes what nodes still keep for them.
CREATE TABLE purged_tenants (tenantId TEXT PRIMARY KEY) WITHOUT ROWID;
`,
  },
];
