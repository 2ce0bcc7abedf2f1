import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { Bus } from '#engine/queue/bullmq/bus.ts';
import { type RedisServer, startRedis } from '#test/support/redis.ts';
import { missing } from '#test/support/servers.ts';
import { eventually } from '#test/support/wait.ts';

describe('bus: words to all processes', { skip: missing('redis') }, () => {
  let redis: RedisServer;
  let installations = 0;
  before(async () => {
    redis = await startRedis({ fsync: 'none' });
  });
  after(() => redis?.close());

  /** Buses of one installation, with what each has heard; they hear each other. */
  async function buses(t: TestContext, ids: readonly string[], prefix = `t${++installations}`) {
    const opened = ids.map((id) => {
      const bus = new Bus({ connect: () => new Redis(redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 }), prefix, answerMs: 200 });
      t.after(() => bus.close());
      const heard: unknown[] = [];
      bus.subscribe('a', (data, from) => void (data !== 'ready?' && heard.push([from, data])));
      return { id, bus, heard, say: (data: unknown) => bus.publish('a', data, id) };
    });
    await connected(opened);
    return opened;
  }
  async function connected(opened: readonly { id: string; bus: Bus }[]): Promise<void> {
    const heard = new Set<string>();
    const stop = opened.map(({ id, bus }) => bus.subscribe('a', (_, from) => void heard.add(`${from} ${id}`)));
    await eventually(() => {
      for (const { id, bus } of opened) bus.publish('a', 'ready?', id);
      return heard.size === opened.length ** 2;
    }, 'all hear all');
    for (const each of stop) each();
  }

  test('a word is heard once by each, also by who says it, on its topic only', async (t) => {
    const [a, b] = await buses(t, ['A', 'B']);
    const others: unknown[] = [];
    const unsubscribe = b!.bus.subscribe('b', (data) => void others.push(data));
    a!.say({ text: 'ä', list: [1, null] });
    assert.deepEqual(a!.heard, [['A', { text: 'ä', list: [1, null] }]]);
    await eventually(() => b!.heard.length === 1, 'heard');
    b!.say(undefined);
    await eventually(() => a!.heard.length === 2, 'answered');
    assert.deepEqual(b!.heard, [
      ['A', { text: 'ä', list: [1, null] }],
      ['B', null],
    ]);
    await eventually(() => {
      a!.bus.publish('b', 1, 'A');
      return others.length > 0;
    }, 'on the other topic');
    unsubscribe();
    others.length = 0;
    a!.bus.publish('b', 2, 'A');
    a!.say('after it');
    await eventually(() => b!.heard.length === 3, 'after it');
    assert.deepEqual(others, []);
  });

  test('installations on the same Redis do not hear each other, and what is no word of ours is passed over', async (t) => {
    const [a] = await buses(t, ['A'], 'x');
    const [other] = await buses(t, ['O'], 'y');
    const wild = new Redis(redis.url);
    t.after(() => wild.disconnect());
    other!.say('elsewhere');
    for (const text of ['', '{', 'null', '[]', '7', '{"from":1,"data":1}', '{"from":"B"}']) await wild.publish('x:bus:a', text);
    await wild.publish('x:bus:a', '{"source":"s","from":"B","data":"good"}');
    await eventually(() => a!.heard.length > 0, 'heard');
    assert.deepEqual(a!.heard, [['B', 'good']]);
  });

  test('a listener that throws keeps nothing from the others', async (t) => {
    const problems: unknown[] = [];
    const bus = new Bus({ connect: () => new Redis(redis.url), prefix: 'z', onProblem: (cause) => void problems.push(cause) });
    t.after(() => bus.close());
    const heard: unknown[] = [];
    const wrong = new Error('not understood');
    bus.subscribe('a', () => {
      throw wrong;
    });
    bus.subscribe('a', (data) => void heard.push(data));
    bus.publish('a', 1, 'A');
    assert.deepEqual([heard, problems], [[1], [wrong]]);
  });

  test('Redis goes away: words are dropped, and it comes back by itself with all subscriptions', async (t) => {
    const [a, b] = await buses(t, ['A', 'B']);
    await redis.kill();
    a!.say('lost');
    assert.deepEqual(a!.heard, [['A', 'lost']]);
    const late: unknown[] = [];
    b!.bus.subscribe('late', (data) => void late.push(data));
    await redis.start();
    await connected([a!, b!]);
    await eventually(() => {
      a!.bus.publish('late', 'late', 'A');
      return late.length > 0;
    }, 'subscribed while it was away');
    assert.deepEqual(b!.heard, []);
  });

  test('a connection hangs half open: nothing piles up before it, and it is made anew', async (t) => {
    const wire = await freezable(redis.port);
    t.after(() => wire.close());
    const made: Redis[] = [];
    const connect = () => {
      const connection = new Redis(wire.port, '127.0.0.1', { maxRetriesPerRequest: null, retryStrategy: () => 20 });
      made.push(connection);
      return connection;
    };
    const bus = new Bus({ connect, prefix: 'half-open', answerMs: 200 });
    t.after(() => bus.close());
    const [other] = await buses(t, ['B'], 'half-open');
    const heard: unknown[] = [];
    bus.subscribe('a', (data) => void heard.push(data));
    const both = [{ id: 'A', bus }, other!];
    await connected(both);
    wire.freeze();
    for (let n = 0; n < 5000; n++) bus.publish('a', n, 'A');
    const waiting = made.map((connection) => (connection as unknown as { commandQueue: { length: number } }).commandQueue.length);
    assert.ok(Math.max(...waiting) <= 1001, `${waiting} commands wait`);
    await connected(both);
  });
});

/** A wire whose connections of now deliver nothing more, without being closed; new ones work. */
async function freezable(port: number) {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    freeze() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
