import { alone } from '#engine/cluster.ts';
import { SqliteQueue } from '#engine/queue/sqlite.ts';
import type { Backend, Change, Queue } from '#engine/queue.ts';
import type { Store } from '#engine/store.ts';
import { VERSION } from '#engine/version.ts';
import type { Work } from '#engine/work.ts';
import { readAttributes, writeAttributes } from './sqlite/attributes.ts';
import { Checkpoints } from './sqlite/checkpoints.ts';
import { type Applier, type Attempt, Committer } from './sqlite/committer.ts';
import { type Database, openDatabase } from './sqlite/database.ts';
import { readDeadLetter, readDeadLetters, writeDeadLetters } from './sqlite/dead-letters.ts';
import { DocReads, purgeAlarms, writeDocs } from './sqlite/docs.ts';
import { Events } from './sqlite/events.ts';
import { readLedger, writeCounts } from './sqlite/ledger.ts';
import { readNodeState, writeNodeStates } from './sqlite/node-states.ts';
import { Numbers } from './sqlite/numbers.ts';
import { purgeTenant, sweepPurged, sweepTenants } from './sqlite/purged.ts';
import { purgeRelations, readRelations, writeRelations } from './sqlite/relations.ts';
import { startSweep } from './sqlite/sweep.ts';
import { Telemetry } from './sqlite/telemetry.ts';
import { openToRun } from './sqlite/transfer.ts';

export interface SqliteOptions {
  /** Created when it is not there; belongs to one process at a time. */
  readonly folder: string;
  /** Of a new folder; an old one keeps what it has. */
  readonly lanes?: number;
  /** Pages of 4 KB that the file may grow to: a full disk on a small scale. */
  readonly pageLimit?: number;
  /** Downlinks of one integration that may wait; a new one beyond it ends the oldest. */
  readonly pendingLimit?: number;
  /** Events of one entity and type that are kept, about. */
  readonly eventLimit?: number;
  /** How often what is over its time is swept away. */
  readonly sweepMs?: number;
  /** After this time at most, telemetry is sorted from the journal into its tables. */
  readonly flushMs?: number;
  readonly now?: () => number;
  /** Called at named points of a commit: fault tests end the process there. */
  readonly onPoint?: (name: string) => void;
}

/** What a step of the backend itself writes, about. */
const STEP_ROWS = 250;

/** Either a unit of work of ours, or a step of the backend itself. */
type Step = Work | ((attempt: Attempt) => void);

/**
 * The embedded backend: queue and store in one SQLite file with one writer, so that a unit of work is one transaction.
 * @throws ConfigError when the folder is in use, or was written by a newer version.
 */
export async function openSqliteBackend(options: SqliteOptions): Promise<Backend> {
  const { folder, lanes = 16, pageLimit, now = Date.now } = options;
  const db = openDatabase({ folder, pageLimit, now });
  try {
    openToRun(db, folder);
    return compose(db, fixedLanes(db, lanes), now, options);
  } catch (cause) {
    db.close();
    throw cause;
  }
}

/** Works that remove telemetry are alone in their transaction: they rely on journal, memory and tables saying the same. */
function sizeOf(step: Step): number {
  if (typeof step === 'function') return STEP_ROWS;
  if (step.telemetryRemovals.length > 0) return Number.POSITIVE_INFINITY;
  const { telemetry, messages, events, docs, kept, keptRemovals, nodeStates } = step;
  return telemetry.length + messages.length + events.length + docs.length + kept.length + keptRemovals.length + nodeStates.length + 1;
}

/** The number of lanes decides which lane a message is in: it can not change under messages that wait. */
function fixedLanes(db: Database, lanes: number): number {
  db.run("INSERT INTO settings (name, value) VALUES ('lanes', CAST(? AS INTEGER)) ON CONFLICT DO NOTHING", lanes);
  return db.get<{ value: number }>("SELECT value FROM settings WHERE name = 'lanes'")!.value;
}

function compose(
  db: Database,
  lanes: number,
  now: () => number,
  { pendingLimit = 100_000, sweepMs = 10_000, flushMs = 3000, eventLimit = 20_000, onPoint = () => {} }: SqliteOptions,
): Backend {
  const numbers = new Numbers(db);
  const checkpoints = new Checkpoints(db);
  const events = new Events(db, numbers, eventLimit);
  const listeners = new Set<(changes: readonly Change[]) => void>();
  const committer = new Committer<Step>({
    db,
    numbers,
    now,
    sync: () => db.sync(),
    onPoint,
    onWritten: (rows) => checkpoints.wrote(rows),
    applier: applier(),
    sizeOf,
    answersFirst: (step) => typeof step !== 'function' && step.answersFirst,
    onChanges: (changes) => {
      for (const listener of listeners) listener(changes);
    },
  });
  const telemetry = new Telemetry({ db, numbers, now, flushMs, commit: (step) => committer.commit(step) });
  const queue = new SqliteQueue({
    db,
    numbers,
    lanes,
    pendingLimit,
    now,
    commit: (step) => committer.commit(step),
    settled: () => committer.settled(),
  });

  function applier(): Applier<Step> {
    return {
      apply(step, attempt) {
        if (typeof step === 'function') return step(attempt);
        if (step.docs.length > 0) writeDocs(db, step.docs, attempt.changes);
        if (step.attributes.length > 0) writeAttributes(db, numbers, step.attributes);
        if (step.relations.length > 0) writeRelations(db, step.relations);
        if (step.events.length + step.eventRemovals.length > 0) events.write(step);
        if (step.deadLetters.length + step.deadLetterRemovals.length > 0) writeDeadLetters(db, step);
        if (step.nodeStates.length > 0) writeNodeStates(db, numbers, step.nodeStates);
        telemetry.write(step.telemetry, attempt);
        for (const removal of step.telemetryRemovals) telemetry.remove(removal, attempt);
        queue.apply(step, attempt);
        for (const { tenantId, entity } of step.purges) {
          purgeRelations(db, tenantId, entity);
          purgeAlarms(db, tenantId, entity.id, attempt.changes);
          queue.purge(tenantId, entity.id, attempt);
          if (entity.entityType === 'TENANT') purgeTenant(db, entity.id);
          const retired = numbers.retireEntity(tenantId, entity);
          if (retired !== null) telemetry.purge(retired, attempt);
        }
      },
      finish(steps, attempt) {
        const works = steps.filter((step) => typeof step !== 'function');
        const messages = works.flatMap((work) => work.messages);
        if (messages.length > 0) {
          queue.append(messages, attempt);
          onPoint('after-append');
        }
        telemetry.finish(attempt);
        writeCounts(db, numbers, works);
      },
      committed(step) {
        if (typeof step !== 'function') step.committed();
      },
    };
  }

  const stopSweep = startSweep({
    sweeps: [() => sweepPurged(db), (_, attempt) => sweepTenants(db, queue.kept, attempt), (at) => telemetry.sweep(at), (at) => events.sweep(at)],
    commit: (step) => committer.commit(step),
    now,
    everyMs: sweepMs,
  });
  return {
    store: store(db, numbers, telemetry, events, queue, now),
    queue: queue satisfies Queue,
    cluster: alone({ version: VERSION, now }),
    commit: (work) => committer.commit(work),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    health: () => committer.health(),
    async close() {
      stopSweep();
      queue.close();
      telemetry.close();
      await committer.close();
      await checkpoints.close();
      db.close();
    },
  };
}

function store(db: Database, numbers: Numbers, telemetry: Telemetry, events: Events, queue: SqliteQueue, now: () => number): Store {
  const docs = new DocReads(db);
  return {
    doc: async (collection, tenantId, id) => docs.doc(collection, tenantId, id),
    docByKey: async (collection, uniqueKey) => docs.docByKey(collection, uniqueKey),
    ownerOf: async (collection, id) => docs.ownerOf(collection, id),
    docByName: async (collection, tenantId, name) => docs.docByName(collection, tenantId, name),
    docs: async (collection, tenantId, query) => docs.docs(collection, tenantId, query),
    attributes: async (tenantId, entity, scope, keys) => readAttributes(db, numbers, tenantId, entity, scope, keys),
    latest: async (tenantId, entity, keys) => telemetry.latest(tenantId, entity, keys),
    history: (tenantId, entity, query) => telemetry.history(tenantId, entity, query, now()),
    relations: async (tenantId, query) => readRelations(db, tenantId, query),
    events: (tenantId, entity, query) => events.read(tenantId, entity, query),
    downlink: async (tenantId, id) => queue.downlinks.one(tenantId, id),
    downlinks: async (tenantId, entityId, page, pageSize) => queue.downlinks.page(tenantId, entityId, page, pageSize),
    deadLetter: async (tenantId, id) => readDeadLetter(db, tenantId, id),
    deadLetters: async (tenantId, owner, page, pageSize) => readDeadLetters(db, tenantId, owner, page, pageSize),
    kept: (tenantId, nodeId, query) => queue.kept.read(tenantId, nodeId, query),
    keptSummary: async (tenantId, nodeId, key) => queue.kept.summary(tenantId, nodeId, key),
    nodeState: async (tenantId, nodeId, key) => readNodeState(db, numbers, tenantId, nodeId, key),
    ledger: async (tenantId, owner) => readLedger(db, numbers, tenantId, owner),
    everyDoc: (collection) => docs.everyDoc(collection),
  };
}
