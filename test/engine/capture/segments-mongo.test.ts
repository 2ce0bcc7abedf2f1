import { after, describe } from 'node:test';
import { MongoClient } from 'mongodb';
import { openMongoSegments } from '#engine/store/mongo/segments.ts';
import { segmentsContract } from '#test/contract/segments.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';

let server: Promise<MongoServer> | null = null;
after(async () => (await server)?.close());

describe('segments in MongoDB', { skip: missing('mongo') }, () => {
  segmentsContract({
    name: 'mongo',
    async start(limits) {
      server ??= startMongo();
      const client = await new MongoClient(freshDatabase(await server)).connect();
      return {
        open: async () => openMongoSegments({ db: client.db(), ...limits, now: Date.now, log: { warn: console.warn } }),
        stop: () => client.close(),
      };
    },
  });
});
