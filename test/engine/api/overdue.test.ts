import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import Fastify from 'fastify';
import type { ApiContext } from '#engine/api/context.ts';
import { refuseOverdue } from '#engine/api/overdue.ts';

async function plant(t: TestContext) {
  let away: string | null = null;
  let answer: (body: object) => void = () => {};
  const app = Fastify();
  const backend = { health: () => (away === null ? { ok: true } : { ok: false, reason: away }) };
  refuseOverdue(app, { backend } as unknown as ApiContext, { everyMs: 5, longestMs: 40 });
  app.get('/', (_request, reply) => {
    reply.header('x-given', 'yes');
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  return {
    get: () => fetch(url),
    async answer(body: object) {
      await new Promise((resolve) => setImmediate(resolve));
      answer(body);
    },
    becomes(what: string | null) {
      away = what;
    },
  };
}

test('who waits while a server is away is told: 503, JSON, when to come again', async (t) => {
  const { get, answer, becomes } = await plant(t);
  const asked = get();
  becomes('Redis: no answer for 3000 ms');
  const reply = await asked;
  const { status, message, errorCode } = (await reply.json()) as Record<string, unknown>;
  assert.deepEqual(
    [reply.status, reply.headers.get('retry-after'), reply.headers.get('content-type'), reply.headers.get('x-given')],
    [503, '1', 'application/json', 'yes'],
  );
  assert.deepEqual([status, errorCode, message], [503, 2, 'Redis: no answer for 3000 ms; it is not known whether the request was carried out']);
  // What its handler says later goes nowhere, and the next request on the connection is answered with its own.
  await answer({ late: true });
  becomes(null);
  const next = get();
  await new Promise((resolve) => setTimeout(resolve, 60));
  await answer({ own: true });
  assert.deepEqual(await (await next).json(), { own: true });
});

test('a request that waits long for something else is let be: while all is well, and over a short absence', async (t) => {
  const { get, answer, becomes } = await plant(t);
  const asked = get();
  await new Promise((resolve) => setTimeout(resolve, 60));
  becomes('MongoDB does not answer');
  await new Promise((resolve) => setTimeout(resolve, 10));
  becomes(null);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await answer({ own: true });
  assert.equal((await asked).status, 200);
});
