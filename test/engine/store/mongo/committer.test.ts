import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type Collection, MongoClient } from 'mongodb';
import { AppError, Fenced, NotDurable } from '#engine/errors.ts';
import { Committer, type CommitterOptions, type LeaseDoc, SLOTS, slotLease } from '#engine/store/mongo/committer.ts';
import { Again, type Dispatch, type Part } from '#engine/store/mongo/transaction.ts';
import { Work } from '#engine/work.ts';
import { freshDatabase, type MongoServer, startMongo } from '#test/support/mongo.ts';
import { missing } from '#test/support/servers.ts';

/** A wire that can be cut at a command, twice (the driver asks once more by itself): before the server gets it, or when the answer is due. */
async function cuttable(port: number) {
  let cut: { command: string; when: 'before' | 'after'; left: number; thereupon: () => Promise<void> } | null = null;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    let swallow = false;
    let after = async () => {};
    client.on('data', (bytes) => {
      if (cut && bytes.includes(cut.command)) {
        const { when, thereupon } = cut;
        if (--cut.left === 0) cut = null;
        if (when === 'before') {
          client.destroy();
          void thereupon();
          return;
        }
        swallow = true;
        after = thereupon;
      }
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (!swallow) return client.write(bytes);
      client.destroy();
      void after();
      return false;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    /** @param thereupon when it is cut for the first time; without it, it is cut twice. */
    cutAt(command: string, when: 'before' | 'after', thereupon?: () => Promise<void>) {
      cut = { command, when, left: thereupon ? 1 : 2, thereupon: thereupon ?? (async () => {}) };
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe('committer: MongoDB decides, Redis dispatches', { skip: missing('mongo') }, () => {
  let mongo: MongoServer;
  let wire: Awaited<ReturnType<typeof cuttable>>;
  let client: MongoClient;
  let direct: MongoClient;
  let leases: Collection<LeaseDoc>;
  let facts: Collection<{ _id: string; n?: number }>;
  let dispatched: string[];
  const opened: Committer[] = [];

  before(async () => {
    mongo = await startMongo();
    wire = await cuttable(mongo.port);
  });
  after(async () => {
    wire.close();
    await mongo.close();
  });
  beforeEach(async () => {
    const url = new URL(freshDatabase(mongo));
    direct = await MongoClient.connect(url.href);
    url.port = String(wire.port);
    client = await MongoClient.connect(url.href, { serverSelectionTimeoutMS: 2000 });
    leases = client.db().collection('leases');
    facts = client.db().collection('facts');
    await direct.db().createCollection('facts');
    await leases.insertMany([
      ...Array.from({ length: SLOTS }, (_, slot) => ({ _id: slotLease('me', slot), owner: 'me', epoch: 1 })),
      { _id: 'lane:1', owner: 'me', epoch: 4 },
      { _id: 'lane:2', owner: 'other', epoch: 2 },
    ]);
    dispatched = [];
  });
  afterEach(async () => {
    for (const committer of opened.splice(0)) await committer.close();
    await client.close();
    await direct.close();
  });

  /** Writes a fact for each work, named by its only attribute; `refuse …` is refused. */
  const facting: Part = {
    async write(works, { session, dispatch }) {
      for (const work of works) {
        const { key } = work.attributes[0]! as { key: string };
        if (key.startsWith('refuse')) throw new AppError('stale-batch', 'never', key);
        await facts.insertOne({ _id: key }, { session });
        dispatch({ queue: 'lane-0', jobId: key, data: null, dueAt: null });
      }
    },
  };
  function open(options: Partial<CommitterOptions> = {}): Committer {
    const committer = new Committer({
      client,
      leases,
      parts: [facting],
      member: () => 'me',
      leasesOf: () => [],
      async dispatch(jobs: readonly Dispatch[]) {
        dispatched.push(...jobs.map(({ jobId }) => jobId));
      },
      onFenced: () => {},
      trouble: () => null,
      now: () => 1000,
      onPoint: () => {},
      onChanges: () => {},
      ...options,
    });
    opened.push(committer);
    return committer;
  }
  const work = (name: string, fill: (work: Work) => void = () => {}): Work => {
    const made = new Work();
    made.attributes.push({
      tenantId: 't',
      entity: { entityType: 'DEVICE', id: 'd' },
      scope: 'SERVER_SCOPE',
      key: name,
      value: { type: 'LONG', value: 1 },
      lastUpdateTs: 1,
    });
    fill(made);
    return made;
  };
  const stored = async () => (await direct.db().collection<{ _id: string }>('facts').find().toArray()).map(({ _id }) => _id).sort();

  test('works that come together share a transaction, and a refused one takes nobody with it', async () => {
    const committer = open();
    const answers = await Promise.allSettled(['a', 'refuse b', 'c', 'd'].map((name) => committer.commit(work(name))));
    assert.deepEqual(
      answers.map((answer) => (answer.status === 'fulfilled' ? 'done' : (answer.reason as AppError).code)),
      ['done', 'stale-batch', 'done', 'done'],
    );
    assert.deepEqual(
      [await stored(), dispatched],
      [
        ['a', 'c', 'd'],
        ['a', 'c', 'd'],
      ],
    );
  });

  test('jobs are dispatched in the order of the commits, before anybody is answered', async () => {
    const told: string[] = [];
    const committer = open({
      async dispatch(jobs) {
        // The first group's dispatch is the slowest.
        if (dispatched.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
        dispatched.push(...jobs.map(({ jobId }) => jobId));
        told.push(`dispatched ${jobs.map(({ jobId }) => jobId)}`);
      },
    });
    const first = committer.commit(work('1', (made) => made.afterCommit(() => told.push('answered 1'))));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    const second = committer.commit(work('2', (made) => made.afterCommit(() => told.push('answered 2'))));
    await Promise.all([first, second]);
    assert.deepEqual(told, ['dispatched 1', 'answered 1', 'dispatched 2', 'answered 2']);
  });

  test('a lane of another, or of an earlier epoch, is fenced and nothing of it is stored', async () => {
    const committer = open();
    await committer.commit(work('mine', (made) => made.leases.push({ name: 'lane:1', epoch: 4 })));
    for (const lease of [
      { name: 'lane:1', epoch: 3 },
      { name: 'lane:2', epoch: 2 },
      { name: 'lane:9', epoch: 1 },
    ])
      await assert.rejects(committer.commit(work(`late ${lease.name}`, (made) => made.leases.push(lease))), Fenced);
    assert.deepEqual([await stored(), dispatched], [['mine'], ['mine']]);
  });

  test('a process that was given up writes nothing more, and hears of it', async () => {
    let fenced = 0;
    const committer = open({ onFenced: () => fenced++ });
    await direct
      .db()
      .collection<LeaseDoc>('leases')
      .updateMany({ owner: 'me' }, { $set: { owner: null }, $inc: { epoch: 1 } });
    await assert.rejects(committer.commit(work('late')), Fenced);
    assert.deepEqual([await stored(), dispatched, fenced], [[], [], 1]);
  });

  test('two that write the same document at once: both happen, one after the other', async () => {
    const counting: Part = {
      async write(_works, { session }) {
        await facts.updateOne({ _id: 'sum' }, { $inc: { n: 1 } }, { upsert: true, session });
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
    };
    const committer = open({ parts: [counting] });
    const begun: Promise<void>[] = [];
    for (let i = 0; i < 6; i++) {
      begun.push(committer.commit(work(String(i))));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(begun);
    assert.ok(
      (await direct
        .db()
        .collection('facts')
        .findOne({ _id: 'sum' as never }))!['n'] >= 2,
    );
  });

  test('a part that has found another way writes again', async () => {
    let attempts = 0;
    const committer = open({
      parts: [
        facting,
        {
          async write() {
            if (++attempts === 1) throw new Again();
          },
        },
      ],
    });
    await committer.commit(work('a'));
    assert.deepEqual([attempts, await stored(), dispatched], [2, ['a'], ['a']]);
  });

  test('the wire breaks before the server has the commit: it is sent again, and happens once', async () => {
    const committer = open();
    wire.cutAt('commitTransaction', 'before');
    await committer.commit(work('a'));
    assert.deepEqual([await stored(), dispatched, committer.trouble()], [['a'], ['a'], null]);
  });

  for (const when of ['before', 'after'] as const)
    test(`the server is killed ${when === 'before' ? 'when the commit is on its way' : 'before it has answered the commit'}: what is told is what is stored`, async () => {
      const committer = open();
      await committer.commit(work('warm'));
      wire.cutAt('commitTransaction', when, async () => {
        await mongo.kill();
        await mongo.start();
      });
      const told = await committer.commit(work('a')).then(
        () => ['a'],
        (cause: unknown) => (cause instanceof NotDurable ? [] : cause),
      );
      assert.deepEqual(
        [await stored(), dispatched],
        [
          [...(told as string[]), 'warm'],
          ['warm', ...(told as string[])],
        ],
      );
      if (when === 'after') assert.deepEqual(told, ['a']);
      await committer.commit(work('z'));
      assert.deepEqual(await stored(), [...(told as string[]), 'warm', 'z']);
    });

  test('the wire breaks after the commit: it is found to have happened, and dispatched once', async () => {
    const committer = open();
    await committer.commit(work('warm'));
    wire.cutAt('commitTransaction', 'after');
    await committer.commit(work('a'));
    assert.deepEqual(
      [await stored(), dispatched],
      [
        ['a', 'warm'],
        ['warm', 'a'],
      ],
    );
  });

  test('Redis is away: nobody is answered, nothing more is taken, and it goes on by itself', async () => {
    let away = true;
    const committer = open({
      async dispatch(jobs) {
        if (away) throw new Error('away');
        dispatched.push(...jobs.map(({ jobId }) => jobId));
      },
    });
    let answered = false;
    const waiting = committer.commit(work('a')).then(() => {
      answered = true;
    });
    for (let i = 0; i < 200 && committer.trouble() === null; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(committer.trouble(), 'Redis: away');
    assert.deepEqual([answered, await stored()], [false, ['a']]);
    await assert.rejects(committer.commit(work('b')), NotDurable);
    away = false;
    await waiting;
    assert.deepEqual([committer.trouble(), dispatched, await stored()], [null, ['a'], ['a']]);
  });
});
