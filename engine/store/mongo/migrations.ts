import type { CreateIndexesOptions, Db, IndexSpecification } from 'mongodb';

/** One step of the schema. Steps are never edited once released: a change is a new step at the end. */
export interface Migration {
  readonly version: number;
  /** May be ended at any line and is begun again then, also while the one before is not quite dead: the same twice must be as good as once. */
  apply(db: Db): Promise<void>;
}

type Index = readonly [spec: IndexSpecification, options?: CreateIndexesOptions];

const HOUR_S = 3600;
/** What has no end has no entry either: MongoDB would make one. */
const EXPIRING: CreateIndexesOptions = { expireAfterSeconds: 0, partialFilterExpression: { expiresAt: { $exists: true } } };
/** What is over is most of it, and is never looked for. */
const WAITING: CreateIndexesOptions = { partialFilterExpression: { waiting: true } };

/**
 * Collections of version 1, with what they are found by besides their `_id`. Where documents have a natural key it is their `_id`, its parts in the order in which
 * they are looked for: then a range of it is an index that costs nothing, and an upsert looks nothing up elsewhere.
 */
const VERSION_1: Readonly<Record<string, readonly Index[]>> = {
  // `COLLECTION/ID`
  docs: [
    [
      { collection: 1, uniqueKey: 1 },
      { unique: true, partialFilterExpression: { uniqueKey: { $exists: true } } },
    ],
    [{ tenantId: 1, collection: 1, createdTime: 1, _id: 1 }],
    [{ tenantId: 1, collection: 1, name: 1, _id: 1 }],
    [{ tenantId: 1, collection: 1, ref: 1 }, { partialFilterExpression: { ref: { $exists: true } } }],
    [{ tenantId: 1, collection: 1, customerId: 1 }, { partialFilterExpression: { customerId: { $exists: true } } }],
  ],
  // `TENANT/TYPE/ID/SCOPE/KEY`
  attributes: [],
  // `ENTITY/TS`
  history: [[{ expiresAt: 1 }, { expireAfterSeconds: 0, partialFilterExpression: { expiresAt: { $exists: true } } }]],
  latest: [],
  // `TENANT/FROM/TO/GROUP/TYPE`
  relations: [[{ tenantId: 1, toId: 1, toType: 1 }]],
  // `TENANT/TYPE/ID/EVENT TYPE/TIME/SEQ/ID`; only what ends by its age has `expiresAt`.
  events: [[{ expiresAt: 1 }, EXPIRING]],
  deadLetters: [[{ tenantId: 1, createdTime: 1, _id: 1 }], [{ tenantId: 1, owner: 1, createdTime: 1, _id: 1 }]],
  counters: [[{ tenantId: 1, owner: 1 }], [{ member: 1 }]],
  // `LANE.MEMBER.N`. The first has all that is summed up for the depth, so that no messages are read for it.
  batches: [[{ lane: 1, dueAt: 1, at: 1, _id: 1, member: 1, n: 1, total: 1 }], [{ 'counts.tenantId': 1, 'counts.owner': 1 }]],
  held: [[{ lane: 1, originator: 1, pos: 1 }], [{ tenantId: 1, owner: 1 }]],
  downlinks: [
    [{ tenantId: 1, entityId: 1, createdTime: 1, seq: 1 }],
    [{ tenantId: 1, integrationId: 1, waiting: 1 }, WAITING],
    [{ integrationId: 1, delivery: 1, seq: 1 }, WAITING],
    [{ integrationId: 1, entityId: 1, seq: 1 }, WAITING],
    [{ expiresAt: 1 }, WAITING],
    [{ claimedBy: 1 }, WAITING],
    [{ member: 1, seq: 1 }, WAITING],
    [{ slot: 1 }, { unique: true, partialFilterExpression: { slot: { $exists: true } } }],
  ],
  leases: [[{ owner: 1 }]],
  processes: [],
  settings: [],
  changes: [[{ at: 1 }, { expireAfterSeconds: HOUR_S }]],
};

const MOVED: CreateIndexesOptions = { partialFilterExpression: { movedAt: { $exists: true } } };

const VERSION_2: Readonly<Record<string, readonly Index[]>> = {
  // `MESSAGE/NODE/KEY`
  kept: [
    [{ tenantId: 1, nodeId: 1, seq: 1 }],
    [{ tenantId: 1, nodeId: 1, key: 1, seq: 1 }],
    [{ lane: 1, kind: 1, seq: 1 }],
    [{ tenantId: 1, owner: 1 }],
    [{ tenantId: 1, nodeId: 1, movedAt: 1, seq: 1 }, MOVED],
    [{ tenantId: 1, nodeId: 1, key: 1, movedAt: 1, seq: 1 }, MOVED],
  ],
  // `NODE/KEY`
  nodeStates: [[{ tenantId: 1 }]],
};

async function addCollections(db: Db, collections: Readonly<Record<string, readonly Index[]>>): Promise<void> {
  const there = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name));
  for (const [name, indexes] of Object.entries(collections)) {
    // A transaction may not be the first to write to a collection while another process does the same.
    if (!there.has(name)) await created(db, name);
    for (const [spec, options] of indexes) await db.collection(name).createIndex(spec, options);
  }
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    async apply(db) {
      await addCollections(db, VERSION_1);
      await db.collection<{ _id: string }>('settings').updateOne({ _id: 'relationVersion' }, { $setOnInsert: { value: 0 } }, { upsert: true });
    },
  },
  { version: 2, apply: (db) => addCollections(db, VERSION_2) },
];

const NAMESPACE_EXISTS = 48;

async function created(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name);
  } catch (cause) {
    if ((cause as { code?: number }).code !== NAMESPACE_EXISTS) throw cause;
  }
}
