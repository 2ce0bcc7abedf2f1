import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { ConfigError, NotConnected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { EntityRef } from '#engine/message.ts';
import { type Backend, laneOf } from '#engine/queue.ts';
import { type MongoInstallation, openMongoSource, openMongoTarget } from '#engine/store/mongo/transfer.ts';
import { openMongoBackend } from '#engine/store/mongo.ts';
import { openSqliteInstallation, type SqliteInstallation } from '#engine/store/sqlite/transfer.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { type Source, type Target, transfer } from '#engine/transfer.ts';
import { commit, datas, message, take, temporaryFolder } from '../support/backend.ts';
import { type Dump, dump, fill } from '../support/installation.ts';
import { freshDatabase, type MongoServer } from '../support/mongo.ts';
import { missingServer, sharedServers } from '../support/mongo-backend.ts';
import type { RedisServer } from '../support/redis.ts';
import { eventually } from '../support/wait.ts';

const now = Date.now();
const LANES = 5;

describe('an installation on Redis and MongoDB, and back', { skip: missingServer() }, () => {
  const folders: string[] = [];
  let mongo: MongoServer;
  let redis: RedisServer;
  let from: string;
  let there: Dump;

  const newFolder = (): string => {
    const folder = temporaryFolder();
    folders.push(folder);
    return folder;
  };
  const target = (url: string, onPoint?: (name: string) => void): Promise<MongoInstallation> =>
    openMongoTarget({ url, redisUrl: redis.url, keyFingerprint: 'f00d', ...(onPoint ? { onPoint } : {}) });
  const source = (url: string): Promise<MongoInstallation> => openMongoSource({ url, silentMs: 500 });
  const folder = (path: string, as: 'source' | 'target'): SqliteInstallation => openSqliteInstallation({ folder: path, as });

  /** One run, after which both are closed. */
  async function run(
    from: Source & { close(): unknown },
    to: Target & { close(): unknown },
    onPoint: (name: string) => void = () => {},
  ): Promise<void> {
    try {
      await transfer({ source: from, target: to, newId, now: Date.now, onPoint });
    } finally {
      await from.close();
      await to.close();
    }
  }

  const start = (url: string): Promise<Backend> =>
    openMongoBackend({
      ...{ mongoUrl: url, redisUrl: redis.url, roles: ['api', 'integrations', 'rules'], version: '1', key: 'f00d', beatMs: 200, giveUpMs: 2000 },
      // What a process that goes leaves to the others is none of ours here.
      log: { warn() {}, error: console.error },
    });

  before(async () => {
    [mongo, redis] = await sharedServers();
    from = newFolder();
    const backend = await openSqliteBackend({ folder: from, lanes: LANES });
    await fill(backend, { now, history: 2100 });
    await backend.close();
    const opened = folder(from, 'source');
    there = await dump(opened, now);
    opened.close();
  });
  after(() => {
    for (const each of folders) rmSync(each, { recursive: true });
  });

  test('there and back: the same, record by record', async () => {
    const url = freshDatabase(mongo);
    await run(folder(from, 'source'), await target(url));
    const between = await source(url);
    assert.equal(between.keyFingerprint, 'f00d');
    assert.deepEqual(await between.fixed(), { lanes: LANES, relationVersion: 5 });
    assert.deepEqual(await dump(between, now), there);
    const back = newFolder();
    await run(between, folder(back, 'target'));
    const last = folder(back, 'source');
    assert.deepEqual(await last.fixed(), { lanes: LANES, relationVersion: 5 });
    assert.deepEqual(await dump(last, now), there);
    last.close();
  });

  test('ended before a commit, and again after one, it goes on where it was', async () => {
    const url = freshDatabase(mongo);
    for (const [point, nth] of [
      ['copy-before-commit', 5],
      ['copy-page', 6],
    ] as const) {
      let left = nth;
      const end = (name: string): void => {
        if (name === point && --left === 0) throw new Error('ended');
      };
      await assert.rejects(run(folder(from, 'source'), await target(url, end), end), /ended/);
      await assert.rejects(start(url), (cause: Error) => {
        assert.ok(cause instanceof ConfigError);
        assert.match(cause.message, /holds a copy of .* that was not finished: run the same fieldbridge copy again, or drop the database/);
        return true;
      });
      await assert.rejects(source(url), ConfigError);
    }
    await run(folder(from, 'source'), await target(url));
    const opened = await source(url);
    assert.deepEqual(await dump(opened, now), there);
    await opened.close();
  });

  test('what waits is worked on by the first start, in order and before everything new; what was taken waits again', async () => {
    const url = freshDatabase(mongo);
    await run(folder(from, 'source'), await target(url));
    interface Waiting {
      readonly lane: number;
      readonly message: { readonly tenantId: string; readonly originator: EntityRef; readonly data: string };
    }
    const held = new Set((there.held as Waiting[]).map((each) => each.message.originator.id));
    // What is behind held messages comes when those do.
    const copied = (there.waiting as Waiting[]).filter((each) => !held.has(each.message.originator.id));
    const { tenantId, originator } = copied[0]!.message;
    const backend = await start(url);
    try {
      // Before the lanes are anybody's.
      await commit(backend, (work) => work.messages.push(message(tenantId, originator, 'new')));
      const granted = new Set<string>();
      const names = Array.from({ length: LANES }, (_, lane) => String(lane));
      backend.cluster.hold('lane', { names: () => names, granted: (name) => void granted.add(name), revoked: async () => {} });
      await eventually(() => granted.size === LANES, 'all lanes are held', 10_000);
      const newIn = laneOf(originator.id, LANES);
      for (let lane = 0; lane < LANES; lane++) {
        const expected = copied.filter((each) => each.lane === lane).map((each) => each.message.data);
        if (lane === newIn) expected.push('new');
        const found: string[] = [];
        while (found.length < expected.length) {
          const batch = await take(backend, lane, 500);
          found.push(...datas(batch));
          await commit(backend, (work) => work.done.push(batch));
        }
        assert.deepEqual(found, expected, `lane ${lane}`);
      }
      // Of the two in its slot, the older was taken when the folder's process ended.
      const { integrationId, entity } = (there.downlink as { downlink: { integrationId: string; entity: { id: string } } }[])[0]!.downlink;
      assert.notEqual(await backend.queue.takePending(integrationId, [entity.id]), null);
    } finally {
      await backend.close();
    }
  });

  test('what members that are gone have counted and appended is one', async () => {
    const url = freshDatabase(mongo);
    const tenantId = newId();
    const originator = { entityType: 'DEVICE', id: newId() } as const;
    for (const data of ['1', '2', '3']) {
      const backend = await start(url);
      await commit(backend, (work) => {
        work.messages.push(message(tenantId, originator, data));
        work.count(tenantId, tenantId, 'messages.created');
        work.count(tenantId, tenantId, 'uplinks.received', 2);
      });
      await backend.close();
    }
    const opened = await source(url);
    const { counter, waiting } = await dump(opened, now);
    await opened.close();
    assert.deepEqual(counter, [
      { tenantId, owner: tenantId, counter: 'messages.created', n: 3 },
      { tenantId, owner: tenantId, counter: 'uplinks.received', n: 6 },
    ]);
    assert.deepEqual(
      (waiting as { message: { data: string } }[]).map((each) => each.message.data),
      ['1', '2', '3'],
    );
  });

  test('a source that a process runs is refused, and one that nobody runs any more is not', async () => {
    const url = freshDatabase(mongo);
    const backend = await start(url);
    await assert.rejects(source(url), /is in use by 1 running process: stop them before it is copied/);
    await backend.close();
    await (await source(url)).close();
  });

  test('a process that is started while it is copied is noticed', async () => {
    const url = freshDatabase(mongo);
    await (await start(url)).close();
    let started: Promise<void> | null = null;
    const opened = await source(url);
    const begin = async (): Promise<void> => (await start(url)).close();
    const snapshot = opened.snapshot.bind(opened);
    opened.snapshot = async () => {
      if (started) await started;
      return snapshot();
    };
    const ended = run(opened, folder(newFolder(), 'target'), (name) => {
      if (name === 'copy-begun') started = begin();
    });
    await assert.rejects(ended, /was started while it was copied\. Stop it, empty .*, and begin anew/);
  });

  test('a database that is not there, or not empty, or a Redis that has something of it', async () => {
    await assert.rejects(source(freshDatabase(mongo)), /There is no installation in .*: name its database in the URL/);
    const used = freshDatabase(mongo);
    await run(folder(from, 'source'), await target(used));
    const other = newFolder();
    const backend = await openSqliteBackend({ folder: other });
    await backend.close();
    await assert.rejects(async () => run(folder(other, 'source'), await target(used)), /is not empty \(24 documents, copied from .* at 20/);

    const url = freshDatabase(mongo);
    const client = new Redis(redis.url);
    await client.set(`${new URL(url).pathname.slice(1)}:lane-0:id`, 1);
    await assert.rejects(target(url), /Redis .* is not empty: it has .*:lane-0:id of another installation named/);
    await client.quit();
    const names = await MongoClient.connect(mongo.url).then(async (connected) => {
      const { databases } = await connected.db().admin().listDatabases();
      await connected.close();
      return databases.map(({ name }) => name);
    });
    assert.ok(!names.includes(new URL(url).pathname.slice(1)), 'nothing was made before the refusal');
  });

  test('servers that are away are named', async () => {
    const away = 'mongodb://me:secret@127.0.0.1:1/x';
    for (const opening of [source(away), target(away)]) {
      await assert.rejects(opening, (cause: Error) => {
        assert.ok(cause instanceof NotConnected, String(cause));
        assert.match(cause.message, /^Not connected to mongodb:\/\/me:\*\*\*@127\.0\.0\.1:1\/x/);
        assert.doesNotMatch(cause.message, /secret/);
        return true;
      });
    }
    await assert.rejects(
      openMongoTarget({ url: freshDatabase(mongo), redisUrl: 'redis://127.0.0.1:1', keyFingerprint: null }),
      /^NotConnected: Not connected to Redis redis:\/\/127\.0\.0\.1:1/,
    );
  });
});
