import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '#engine/id.ts';
import { createMessage, type EntityRef, type Message } from '#engine/message.ts';
import type { Backend, Batch } from '#engine/queue.ts';
import { openSqliteBackend, type SqliteOptions } from '#engine/store/sqlite.ts';
import type { Doc, Downlink, Ledger } from '#engine/store.ts';
import { Work } from '#engine/work.ts';

/** A backend that contract suites can start, end and start again on the same data. */
export interface BackendUnderTest {
  readonly name: string;
  /** Every commit is some milliseconds: properties are tried fewer times. */
  readonly slow?: boolean;
  start(options?: { lanes?: number; now?: () => number }): Promise<Running>;
}

export interface Running {
  backend: Backend;
  /** Ends it, with whatever is taken, and opens it on the same data. */
  restart(): Promise<Backend>;
  /** Has it run an integration, where somebody has to. */
  place?(integrationId: string): Promise<void>;
  stop(): Promise<void>;
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'fieldbridge-test-'));

interface SqliteUnderTest extends BackendUnderTest {
  start(options?: Partial<SqliteOptions>): Promise<Running & { readonly folder: string }>;
}

export const sqlite: SqliteUnderTest = {
  name: 'sqlite',
  async start(options: Partial<SqliteOptions> = {}) {
    const folder = options.folder ?? temporaryFolder();
    const running = {
      folder,
      backend: await openSqliteBackend({ ...options, folder }),
      async restart() {
        await running.backend.close();
        running.backend = await openSqliteBackend({ ...options, folder });
        return running.backend;
      },
      async stop() {
        await running.backend.close();
        rmSync(folder, { recursive: true });
      },
    };
    return running;
  },
};

export const device = (id: string = newId()): EntityRef => ({ entityType: 'DEVICE', id });

export function doc(fields: Partial<Doc> & Pick<Doc, 'tenantId'>): Doc {
  return { collection: 'DEVICE', id: newId(), createdTime: 1000, version: 1, name: 'A', body: {}, ...fields };
}

export const message = (tenantId: string, originator: EntityRef, data: string, fields: Partial<Message> = {}): Message =>
  createMessage({ tenantId, type: 'POST_TELEMETRY_REQUEST', originator, data, ts: 1000, ...fields }, newId);

export function downlink(fields: Partial<Downlink> & Pick<Downlink, 'tenantId' | 'integrationId' | 'entity'>): Downlink {
  return {
    id: newId(),
    createdTime: 1000,
    delivery: 'pending',
    policy: 'last',
    expiresAt: Number.MAX_SAFE_INTEGER,
    message: message(fields.tenantId, fields.entity, '{}'),
    state: 'QUEUED',
    history: [{ state: 'QUEUED', ts: 1000, reason: null }],
    ...fields,
  };
}

export async function commit(backend: Backend, fill: (work: Work) => void): Promise<void> {
  const work = new Work();
  fill(work);
  await backend.commit(work);
}

/** Waits for something, but not for ever. */
export async function within<T>(promise: Promise<T>, what: string, ms = 5000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const take = async (backend: Backend, lane: number, max = 100): Promise<Batch> =>
  (await within(backend.queue.take(lane, max, new AbortController().signal), `take of lane ${lane}`))!;

/** What is there is given within it: embedded, a round through the event loop; else a few rounds to the servers. */
export const aMoment = (backend: Backend): Promise<void> =>
  new Promise((resolve) => {
    if (backend.cluster.shared) setTimeout(resolve, 150);
    else setImmediate(resolve);
  });

/** What the lane has right now; null when nothing. */
export async function takeNow(backend: Backend, lane: number, max = 100): Promise<Batch | null> {
  const controller = new AbortController();
  const taken = backend.queue.take(lane, max, controller.signal);
  await aMoment(backend);
  controller.abort();
  return taken;
}

export const datas = (batch: Batch | null): string[] => batch?.messages.map((entry) => entry.data) ?? [];

/** The sum check of promise 1: how far a ledger is off. */
export function offBy({ uplinks, messages, downlinks }: Ledger): { uplinks: number; messages: number; downlinks: number } {
  return {
    uplinks: uplinks.received - uplinks.converted - uplinks.empty - uplinks.dead - uplinks.inFlight,
    messages: messages.created - messages.stored - messages.filtered - messages.dead - messages.inFlight,
    downlinks: downlinks.created - downlinks.sent - downlinks.pending - downlinks.replaced - downlinks.expired - downlinks.failed,
  };
}
