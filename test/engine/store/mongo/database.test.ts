import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Db, MongoClient } from 'mongodb';
import { ConfigError } from '#engine/errors.ts';
import { type DatabaseOptions, openDatabase, withoutPassword } from '#engine/store/mongo/database.ts';
import { MIGRATIONS, type Migration } from '#engine/store/mongo/migrations.ts';
import { migrate } from '#engine/store/mongo/schema.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { startServer } from '#test/support/server-process.ts';
import { freePort, missing, program, temporaryFolder } from '#test/support/servers.ts';

for (const { name, url, shown } of [
  { name: 'a password', url: 'mongodb://u:p%40s@h:1,g:2/d?tls=true', shown: 'mongodb://u:***@h:1,g:2/d?tls=true' },
  { name: 'a password with signs that it must not have', url: 'mongodb+srv://u:p@/s?@h/d', shown: 'mongodb+srv://u:***@h/d' },
  {
    name: 'a password among the parameters',
    url: 'mongodb://h/?tlsCertificateKeyFilePassword=s&x=1',
    shown: 'mongodb://h/?tlsCertificateKeyFilePassword=***&x=1',
  },
  { name: 'no password', url: 'mongodb://h:27017/d', shown: 'mongodb://h:27017/d' },
]) {
  test(`the URL is shown without: ${name}`, () => assert.equal(withoutPassword(url), shown));
}

for (const { name, url, says } of [
  { name: 'another scheme', url: 'http://u:secret@h', says: /^MONGODB_URL: http:\/\/u:\*\*\*@h is no URL of MongoDB \(.*give mongodb:\/\/HOST/ },
  { name: 'a password that is not encoded', url: 'mongodb://u:sec@ret@h', says: /^MONGODB_URL: mongodb:\/\/u:\*\*\*@h is no URL of MongoDB/ },
]) {
  test(`no URL: ${name}`, async () => {
    const refused = await openDatabase({ url, lanes: 1, version: '1' }).catch((cause: unknown) => cause);
    assert.ok(refused instanceof ConfigError);
    assert.match(refused.message, says);
    assert.doesNotMatch(refused.message + String(refused.cause), /sec/);
  });
}

test('a server that is not there: the start ends with the setting and what to do', async () => {
  const url = `mongodb://user:secret@127.0.0.1:${await freePort()}/`;
  const refused = await openDatabase({ url, lanes: 1, version: '1' }).catch((cause: unknown) => cause);
  assert.ok(refused instanceof ConfigError);
  assert.match(
    refused.message,
    /^MONGODB_URL: mongodb:\/\/user:\*\*\*@127\.0\.0\.1:\d+\/ can not be used \(.*ECONNREFUSED.*\); start the server, or correct the URL \(hosts, replicaSet\)$/,
  );
});

describe('a database of MongoDB', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  before(async () => {
    mongo = await startMongo();
  });
  after(() => mongo.close());

  const open = (url: string, options: Partial<DatabaseOptions> = {}) => openDatabase({ url, lanes: 4, version: '1.0', ...options });
  const message = (opening: Promise<unknown>) =>
    opening.then(
      () => 'opened',
      (cause: Error) => (cause instanceof ConfigError ? cause.message : cause),
    );

  test('the first start decides on lanes and key, and processes that start together agree', async () => {
    const url = freshDatabase(mongo);
    const opened = await Promise.all([4, 5, 6].map((lanes) => open(url, { lanes, key: 'k' })));
    const later = await open(url, { lanes: 9 });
    assert.equal(new Set([...opened, later].map(({ lanes }) => lanes)).size, 1);
    assert.match(
      await message(open(url, { key: 'other' })).then(String),
      /^FIELDBRIDGE_KEY: is not the key .* give every process the key of the first start$/,
    );
    for (const database of [...opened, later]) await database.close();
  });

  test('everything that a unit of work writes to is there before the first one', async () => {
    const url = freshDatabase(mongo);
    const database = await open(url);
    const there = (await database.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).sort();
    assert.deepEqual(there, Object.keys(database.collections).sort());
    assert.equal(database.name, new URL(url).pathname.slice(1));
    await database.close();
  });

  const newest = MIGRATIONS.at(-1)!.version;
  /** As many steps more, that say when they ran. */
  const steps = (ran: string[], more: number): Migration[] => [
    ...MIGRATIONS,
    ...Array.from({ length: more }, (_, index) => ({
      version: newest + index + 1,
      async apply(db: Db) {
        await db.collection('settings').countDocuments();
        ran.push(`step ${index + 1}`);
      },
    })),
  ];

  test('an older schema is brought up by one of those that start, in order, once', async () => {
    const url = freshDatabase(mongo);
    await (await open(url)).close();
    const ran: string[] = [];
    const opened = await Promise.all([1, 2, 3].map(() => open(url, { version: '2.0', migrations: steps(ran, 2) })));
    assert.deepEqual(ran, ['step 1', 'step 2']);
    const { _id, version, by } = (await opened[0]!.collections.settings.findOne({ _id: 'schema' }))!;
    assert.deepEqual({ _id, version, by }, { _id: 'schema', version: newest + 2, by: '2.0' });
    assert.equal(await opened[0]!.collections.settings.findOne({ _id: 'migration' }), null);
    for (const database of opened) await database.close();
  });

  test('a newer schema stops the start, and nothing is written', async () => {
    const url = freshDatabase(mongo);
    const newer = await open(url, { version: '2.0', migrations: steps([], 1) });
    assert.match(
      await message(open(url, { version: '1.0' })).then(String),
      new RegExp(
        `^MONGODB_URL: mongodb:.* was written by a newer version of Fieldbridge \\(schema ${newest + 1} of 2\\.0; this is 1\\.0 and knows ${newest}\\); start that version, or restore a backup made before it$`,
      ),
    );
    assert.equal((await newer.collections.settings.findOne({ _id: 'schema' }))?.version, newest + 1);
    await newer.close();
  });

  test('a step that failed is begun again by the next start', async () => {
    const url = freshDatabase(mongo);
    await (await open(url)).close();
    const failing: Migration = {
      version: newest + 1,
      apply: () => Promise.reject(new Error('out of memory')),
    };
    assert.match(await message(open(url, { migrations: [...MIGRATIONS, failing] })).then(String), /can not be used \(out of memory\)/);
    const ran: string[] = [];
    for (const more of [1, 1, 2]) await (await open(url, { migrations: steps(ran, more) })).close();
    assert.deepEqual(ran, ['step 1', 'step 2']);
  });

  test('who died while migrating is followed by another; who is alive is waited for', async () => {
    const database = await open(freshDatabase(mongo));
    const { db, collections } = database;
    const { settings } = collections;
    const ran: string[] = [];
    const bring = () =>
      migrate({ db, settings, migrations: steps(ran, 1), version: '2', now: Date.now, refuse: (text) => new Error(text), silentMs: 600 });
    await settings.insertOne({ _id: 'migration', by: 'another', beat: 0 });
    const brought = bring();
    // Alive for longer than the silence.
    for (let beat = 1; beat <= 4; beat++) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      await settings.updateOne({ _id: 'migration' }, { $set: { beat } });
      assert.deepEqual(ran, []);
    }
    await brought;
    assert.deepEqual(ran, ['step 1']);
    await database.close();
  });
});

describe('a server that can not be used', { skip: missing('mongo') }, () => {
  /** With its own folder, which stays between two starts of the same one. */
  const startAs = async (folder: string, ...args: string[]) => {
    const port = await freePort();
    const file = program('secantusd-py');
    const all = ['--host', '127.0.0.1', '--port', String(port), '--storage-path', join(folder, 'data'), '--log-level', 'WARNING', ...args];
    return startServer({ name: 'SecantusDB', file, args: all, port, folder });
  };
  const refused = (url: string) =>
    openDatabase({ url, lanes: 1, version: '1' }).then(
      (database) => database.close().then(() => 'opened'),
      (cause: Error) => (cause instanceof ConfigError ? cause.message : String(cause)),
    );

  test('it has no transactions', async () => {
    const server = await startAs(temporaryFolder('mongo'), '--standalone');
    assert.match(
      await refused(`mongodb://127.0.0.1:${server.port}/`),
      /^MONGODB_URL: \S+ has no transactions: it runs alone\. Start it with --replSet .* rs\.initiate\(\) once$/,
    );
    await server.close();
  });

  test('it does not know us', async () => {
    const folder = temporaryFolder('mongo');
    const open = await startAs(folder);
    const client = await MongoClient.connect(`mongodb://127.0.0.1:${open.port}/?directConnection=true`);
    await client.db('admin').command({ createUser: 'user', pwd: 'right', roles: [{ role: 'readWrite', db: 'fieldbridge' }] });
    await client.close();
    await open.stop();
    const server = await startAs(folder, '--auth');
    const at = (login: string, rest = '') => `mongodb://${login}127.0.0.1:${server.port}/${rest}?directConnection=true&authSource=admin`;
    for (const { url, says } of [
      {
        url: at('user:wrong@'),
        says: /^MONGODB_URL: mongodb:\/\/user:\*\*\*@\S+ refuses user or password \(.*\); correct them, .* authSource=admin$/,
      },
      { url: at(''), says: /^MONGODB_URL: \S+ does not allow its user what is needed \(.*\); give user and password in the URL, / },
      {
        url: at('user:right@', 'other'),
        says: /^MONGODB_URL: \S+ does not allow its user what is needed \(.*\); .* the roles readWrite and dbAdmin of the database$/,
      },
      { url: at('user:right@'), says: /^opened$/ },
    ]) {
      const said = await refused(url);
      assert.match(said, says);
      assert.doesNotMatch(said, /wrong|right/);
    }
    await server.close();
  });
});
