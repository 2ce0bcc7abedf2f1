import type { Cluster, Holder, Placed, Role } from '#engine/cluster.ts';
import { ConfigError, errorText } from '#engine/errors.ts';
import { Bus } from '#engine/queue/bullmq/bus.ts';
import { Downlinks } from '#engine/queue/bullmq/downlinks.ts';
import { connectRedis, type RedisConnections } from '#engine/queue/bullmq/redis.ts';
import { BullQueue } from '#engine/queue/bullmq.ts';
import type { Backend, Change } from '#engine/queue.ts';
import type { Store } from '#engine/store.ts';
import { Attributes } from './mongo/attributes.ts';
import { Committer } from './mongo/committer.ts';
import { type Database, openDatabase } from './mongo/database.ts';
import { DeadLetters } from './mongo/dead-letters.ts';
import { Docs } from './mongo/docs.ts';
import { Events } from './mongo/events.ts';
import { Feed } from './mongo/feed.ts';
import { Ledgers } from './mongo/ledger.ts';
import { MIGRATIONS } from './mongo/migrations.ts';
import { Monitor } from './mongo/monitor.ts';
import { NodeStates } from './mongo/node-states.ts';
import { type Members, openCluster } from './mongo/processes.ts';
import { readable } from './mongo/reads.ts';
import { Relations } from './mongo/relations.ts';
import { checkSchema } from './mongo/schema.ts';
import { openMongoSegments } from './mongo/segments.ts';
import { startSweep } from './mongo/sweep.ts';
import { Telemetry } from './mongo/telemetry.ts';
import type { Step } from './mongo/transaction.ts';
import { openToRun } from './mongo/transfer.ts';

export interface MongoOptions {
  readonly mongoUrl: string;
  readonly redisUrl: string;
  /** Of a new database; an old one keeps what it has. */
  readonly lanes?: number;
  readonly roles: Iterable<Role>;
  /** Of this program. */
  readonly version: string;
  /** Fingerprint of the key of the secrets, which all processes share. */
  readonly key?: string;
  /** Downlinks of one integration that may wait; a new one beyond it ends the oldest. */
  readonly pendingLimit?: number;
  /** Events of one entity and type that are kept, about. */
  readonly eventLimit?: number;
  readonly sweepMs?: number;
  readonly beatMs?: number;
  readonly giveUpMs?: number;
  readonly now?: () => number;
  /** Called at named points of a commit: fault tests end the process there. */
  readonly onPoint?: (name: string) => void;
  /** The process can not go on and has to be started anew. Default: it is told to end. */
  readonly end?: (reason: string) => void;
  readonly log: { warn(details: object, text: string): void; error(details: object, text: string): void };
}

/**
 * The backend of several processes: what is kept and what waits is in MongoDB, whose turn it is says BullMQ on Redis. How the two agree: `mongo/committer.ts`.
 * @throws ConfigError naming MONGODB_URL, REDIS_URL or FIELDBRIDGE_KEY.
 */
export async function openMongoBackend(options: MongoOptions): Promise<Backend> {
  const { mongoUrl, redisUrl, lanes = 16, key, version, now } = options;
  const redis = await connectRedis(redisUrl);
  let database: Database | null = null;
  try {
    database = await openDatabase({ url: mongoUrl, lanes, key, version, now });
    await openToRun(database);
    return await compose(database, redis, options);
  } catch (cause) {
    redis.close();
    await database?.close();
    throw cause;
  }
}

async function compose(database: Database, redis: RedisConnections, options: MongoOptions): Promise<Backend> {
  const { now = Date.now, onPoint = () => {}, log, roles, version, pendingLimit = 100_000, eventLimit = 20_000, sweepMs = 10_000 } = options;
  const { client, collections, name: prefix, lanes } = database;
  const end = (reason: string): void => {
    log.error({ reason }, 'this process can not go on and ends, to be started anew');
    if (options.end) options.end(reason);
    else process.kill(process.pid, 'SIGTERM');
  };
  const problem = (text: string) => (cause: unknown) => log.warn({ err: cause }, text);
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const tell = (changes: readonly Change[]): void => {
    for (const listener of listeners) listener(changes);
  };

  const bus = new Bus({ connect: redis.connect, prefix, onProblem: problem('a word of another process was not understood') });
  const docs = new Docs(collections);
  const attributes = new Attributes(collections);
  const relations = new Relations(collections);
  const events = new Events({ events: collections.events, cap: eventLimit });
  const deadLetters = new DeadLetters(collections);
  const telemetry = new Telemetry(collections);
  const nodeStates = new NodeStates(collections);
  const ledgers = new Ledgers({ client, collections });
  let cluster: Members;
  const member = () => cluster.id();
  const downlinks = new Downlinks({
    ...{ collection: collections.downlinks, connection: redis.main, prefix, pendingLimit, now, member },
    leaseOf: (integrationId) => cluster.leaseOf('integration', integrationId),
    commit: (step) => committer.commit(step),
    count: ledgers.count.bind(ledgers),
    dispatch: (jobs) => queue.dispatch(jobs),
  });
  const queue = new BullQueue({
    ...{
      batches: collections.batches,
      held: collections.held,
      kept: collections.kept,
      downlinks,
      connection: redis.main,
      prefix,
      lanes,
      now,
      member,
    },
    // Also those that are being buried: until they are fenced, what they commit counts.
    living: async () => (await collections.processes.find({}, { projection: { _id: 1 } }).toArray()).map(({ _id }) => _id),
    leaseOf: (lane) => cluster.leaseOf('lane', String(lane)),
    commit: (work) => committer.commit(work),
    bus: { publish: (topic, data) => bus.publish(topic, data, member()), subscribe: (topic, listener) => bus.subscribe(topic, listener) },
    log: (details, text) => log.warn(details, text),
  });
  const feed = new Feed({
    ...{ db: database.db, changes: collections.changes, bus, member, now },
    onChanges: tell,
    onResync: () => end('changes of more than an hour were missed; what is cached here may be wrong'),
    onProblem: problem('changes of other processes not read'),
  });
  const monitor = new Monitor({
    ...{ db: database.db, redis: redis.main },
    onRedisRestarted: () => queue.redisRestarted(),
  });
  const committer = new Committer({
    ...{ client, leases: collections.leases, member, now, onPoint },
    parts: [queue, docs, attributes, relations, events, deadLetters, nodeStates, telemetry, feed, ledgers],
    leasesOf: (work) => queue.leasesOf(work),
    dispatch: (jobs) => queue.dispatch(jobs),
    onFenced: () => cluster.onFenced(),
    trouble: () => monitor.trouble(),
    onChanges(changes) {
      tell(changes);
      feed.publish(changes);
    },
  });

  await monitor.start();
  await feed.start();
  cluster = await openCluster({
    ...{ client, processes: collections.processes, leases: collections.leases, bus, roles: [...roles], version, now, onPoint },
    ...(options.beatMs ? { beatMs: options.beatMs } : {}),
    ...(options.giveUpMs ? { giveUpMs: options.giveUpMs } : {}),
    hooks: {
      adopt: (gone) => queue.adopt(gone),
      release: (gone) => downlinks.releaseMember(gone),
      fold: (gone) => ledgers.fold(gone),
    },
    async admit() {
      try {
        await checkSchema(collections.settings, MIGRATIONS.at(-1)!.version);
      } catch (cause) {
        if (cause instanceof ConfigError) end(cause.message);
        throw cause;
      }
    },
    onProblem: problem('the processes of this installation can not be read'),
  });
  await queue.start();
  const stopSweep = startSweep({ sweeps: [() => telemetry.sweep(), () => events.sweep()], everyMs: sweepMs });

  return {
    store: readable({
      doc: (collection, tenantId, id) => docs.doc(collection, tenantId, id),
      docByKey: (collection, uniqueKey) => docs.docByKey(collection, uniqueKey),
      ownerOf: (collection, id) => docs.ownerOf(collection, id),
      docByName: (collection, tenantId, name) => docs.docByName(collection, tenantId, name),
      docs: (collection, tenantId, query) => docs.page(collection, tenantId, query),
      attributes: (tenantId, entity, scope, keys) => attributes.read(tenantId, entity, scope, keys),
      latest: (tenantId, entity, keys) => telemetry.latest(tenantId, entity, keys),
      history: (tenantId, entity, query) => telemetry.history(tenantId, entity, query, now()),
      relations: (tenantId, query) => relations.read(tenantId, query),
      events: (tenantId, entity, query) => events.read(tenantId, entity, query),
      downlink: (tenantId, id) => downlinks.one(tenantId, id),
      downlinks: (tenantId, entityId, page, pageSize) => downlinks.page(tenantId, entityId, page, pageSize),
      deadLetter: (tenantId, id) => deadLetters.one(tenantId, id),
      deadLetters: (tenantId, owner, page, pageSize) => deadLetters.page(tenantId, owner, page, pageSize),
      kept: (tenantId, nodeId, query) => queue.kept.read(tenantId, nodeId, query),
      keptSummary: (tenantId, nodeId, key) => queue.kept.summary(tenantId, nodeId, key),
      nodeState: (tenantId, nodeId, key) => nodeStates.read(tenantId, nodeId, key),
      ledger: (tenantId, owner) => ledgers.read(tenantId, owner),
      everyDoc: (collection) => docs.everyDoc(collection),
    } satisfies Store),
    queue,
    cluster: handingOver(cluster, { closeLane: (lane) => queue.closeLane(lane), wakeDownlinks: (id) => downlinks.turns.wake(id) }),
    async commit(work) {
      // What is long goes in steps before; what is left of it goes with the rest.
      const step = (step: Step) => committer.commit(step);
      if (work.telemetryRemovals.length > 0) await telemetry.ahead(work, step);
      if (work.purges.length > 0) {
        await queue.kept.ahead(work, step);
        await nodeStates.ahead(work, step);
      }
      return committer.commit(work);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    segments: (limits) => openMongoSegments({ db: database.db, ...limits, now, log }),
    health() {
      const trouble = committer.trouble();
      if (trouble !== null) return { ok: false, reason: trouble };
      const warnings = monitor.warnings();
      return warnings.length > 0 ? { ok: true, warnings } : { ok: true };
    },
    async close() {
      stopSweep();
      // It still commits what it puts back.
      await downlinks.close();
      await cluster.leave();
      queue.close();
      await committer.close();
      await cluster.close();
      await feed.close();
      monitor.close();
      bus.close();
      redis.close();
      await database.close().catch((cause: unknown) => log.warn({ reason: errorText(cause) }, 'MongoDB not closed cleanly'));
    },
  };
}

/**
 * What the queue has of a lane goes back when who worked on it has ended, before it is given on; and who waits for the downlinks of an integration before it is
 * given to this process, is looked after at once.
 */
function handingOver(
  cluster: Members,
  { closeLane, wakeDownlinks }: { closeLane: (lane: number) => void; wakeDownlinks: (integrationId: string) => void },
): Cluster {
  const hold = (kind: Placed, holder: Holder): void =>
    cluster.hold(kind, {
      ...holder,
      granted(name, lease) {
        holder.granted(name, lease);
        if (kind === 'integration') wakeDownlinks(name);
      },
      async revoked(name) {
        await holder.revoked(name);
        if (kind === 'lane') closeLane(Number(name));
      },
    });
  return {
    id: () => cluster.id(),
    roles: cluster.roles,
    shared: cluster.shared,
    hold,
    refresh: (kind) => cluster.refresh(kind),
    holderOf: (kind, name) => cluster.holderOf(kind, name),
    note: (kind, name, note) => cluster.note(kind, name, note),
    noteOf: (kind, name) => cluster.noteOf(kind, name),
    processes: () => cluster.processes(),
    publish: (topic, data) => cluster.publish(topic, data),
    subscribe: (topic, listener) => cluster.subscribe(topic, listener),
    describe: (lagMs) => cluster.describe(lagMs),
  };
}
