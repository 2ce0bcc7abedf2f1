import { after, before, describe } from 'node:test';
import type { Backend, Queue } from '#engine/queue.ts';
import type { Store } from '#engine/store.ts';
import { downlinks } from '#test/contract/downlinks.ts';
import type { Running } from '#test/support/backend.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { openProcesses, type Process, type Processes } from './downlink-processes.ts';

/** What the suite of both backends asks of downlinks, of this part alone. */
function backendOf(process: Process): Backend {
  const queue: Partial<Queue> = {
    takeDownlinks(integrationId, max, signal) {
      process.leases.set(integrationId, 1);
      return process.downlinks.take(integrationId, max, signal);
    },
    releaseDownlinks: (list) => process.downlinks.release(list),
    takePending: (integrationId, entityIds) => process.downlinks.takePending(integrationId, entityIds),
    putBack: (downlink) => process.downlinks.putBack(downlink),
    expireDownlinks: (now) => process.downlinks.expire(now),
  };
  const store: Partial<Store> = {
    downlink: (tenantId, id) => process.downlinks.one(tenantId, id),
    downlinks: (tenantId, entityId, page, pageSize) => process.downlinks.page(tenantId, entityId, page, pageSize),
    ledger: (tenantId, owner) => process.ledgers.read(tenantId, owner),
  };
  return { queue, store, cluster: { shared: true }, commit: (work) => process.commitWork(work) } as Backend;
}

describe('downlinks: MongoDB and BullMQ', { skip: missing('mongo') || missing('redis') }, () => {
  let mongo: MongoServer;
  let redis: RedisServer;
  let processes: Processes;
  let process: Process;
  const running: Running = {
    backend: undefined as unknown as Backend,
    async restart() {
      if (process) await process.close();
      process = await processes.start({ now: Date.now });
      running.backend = backendOf(process);
      return running.backend;
    },
    async stop() {
      await processes.clear();
      await processes.close();
    },
  };
  before(async () => {
    [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
    processes = await openProcesses(freshDatabase(mongo), redis.url);
    await running.restart();
  });
  after(async () => {
    await running.stop();
    await Promise.all([mongo.close(), redis.close()]);
  });

  downlinks(() => running);
});
