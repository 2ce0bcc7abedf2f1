import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { ConfigError } from '#engine/errors.ts';
import { connectRedis } from '#engine/queue/bullmq/redis.ts';
import { startRedis } from '#test/support/redis.ts';
import { freePort, missing } from '#test/support/servers.ts';

const refusal = (url: string): Promise<string> =>
  connectRedis(url).then(
    (opened) => {
      opened.close();
      return 'opened';
    },
    (cause: unknown) => (cause instanceof ConfigError ? cause.message : String(cause)),
  );

test('nothing listens there', async () => {
  const port = await freePort();
  assert.match(
    await refusal(`redis://user:geheim@127.0.0.1:${port}`),
    /^REDIS_URL: redis:\/\/user:\*\*\*@127\.0\.0\.1:\d+ can not be used \(connect ECONNREFUSED .*\); start the server, or correct the URL \(host, port, password\)$/,
  );
});

for (const { name, answer, says } of [
  { name: 'takes connections and hangs', answer: null, says: /can not be used \(no answer for 5000 ms\); start the server/ },
  { name: 'speaks another protocol', answer: 'HTTP/1.1 400 Bad Request\r\n\r\n', says: /^REDIS_URL: .* can not be used \(.+\); start the server/ },
]) {
  test(`what listens there ${name}`, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => answer !== null && socket.end(answer));
      t.after(() => socket.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    assert.match(await refusal(`redis://127.0.0.1:${(server.address() as { port: number }).port}`), says);
  });
}

describe('a Redis', { skip: missing('redis') }, () => {
  test('that refuses us, and one without the database that is asked for', async (t) => {
    const redis = await startRedis({ args: ['--requirepass', 'geheim', '--databases', '2'] });
    t.after(() => redis.close());
    const at = `127.0.0.1:${redis.port}`;
    assert.match(await refusal(`redis://${at}`), /can not be used \(NOAUTH .*password\)$/);
    assert.match(await refusal(`redis://:falsch@${at}`), /^REDIS_URL: redis:\/\/:\*\*\*@.* can not be used \(WRONGPASS .*password\)$/);
    assert.match(await refusal(`redis://:geheim@${at}/2`), /can not be used \(ERR DB index is out of range\)/);
    assert.equal(await refusal(`redis://:geheim@${at}/1`), 'opened');
  });
});
