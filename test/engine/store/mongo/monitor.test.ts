import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Monitor } from '#engine/store/mongo/monitor.ts';
import { eventually } from '#test/support/wait.ts';

type Answer = () => Promise<never>;

/** Both servers as the test has them. */
async function plant(t: TestContext) {
  const redis = {
    runId: 'a',
    settings: { 'maxmemory-policy': 'noeviction', appendonly: 'yes', save: '' } as Record<string, string>,
    config: null as Answer | null,
  };
  const servers: { mongo: Answer | null; redis: Answer | null } = { mongo: null, redis: null };
  const seen = { restarts: 0 };
  const monitor = new Monitor({
    db: { command: async () => servers.mongo?.() ?? { ok: 1 } },
    redis: {
      info: async () => servers.redis?.() ?? `# Server\r\nrun_id:${redis.runId}\r\n`,
      config: async (_get: string, name: string) => redis.config?.() ?? [name, redis.settings[name]],
    } as never,
    onRedisRestarted: () => void seen.restarts++,
    everyMs: 1,
    answerMs: 20,
  });
  t.after(() => monitor.close());
  return { monitor, redis, servers, seen };
}
const never = () => new Promise<never>(() => {});

for (const { name, settings, warnings } of [
  { name: 'as it should be', settings: {}, warnings: [] },
  {
    name: 'that forgets when its memory is full',
    settings: { 'maxmemory-policy': 'allkeys-lru' },
    warnings: [/^Redis has maxmemory-policy allkeys-lru: it drops waiting work .* Set it to noeviction\.$/],
  },
  {
    name: 'with snapshots alone',
    settings: { appendonly: 'no', save: '3600 1' },
    warnings: [/^Redis keeps snapshots only .* Set appendonly to yes\.$/],
  },
  { name: 'with nothing on disk', settings: { appendonly: 'no' }, warnings: [/^Redis keeps nothing on disk .* Set appendonly to yes\.$/] },
  {
    name: 'with both faults',
    settings: { appendonly: 'no', 'maxmemory-policy': 'volatile-ttl' },
    warnings: [/maxmemory-policy volatile-ttl/, /keeps nothing on disk/],
  },
]) {
  test(`a Redis ${name}`, async (t) => {
    const { monitor, redis } = await plant(t);
    Object.assign(redis.settings, settings);
    await monitor.start();
    assert.equal(monitor.warnings().length, warnings.length);
    for (const [i, says] of warnings.entries()) assert.match(monitor.warnings()[i]!, says);
  });
}

test('a Redis whose settings may not be read', async (t) => {
  const { monitor, redis } = await plant(t);
  redis.config = () => Promise.reject(new Error('NOPERM'));
  await monitor.start();
  assert.deepEqual(monitor.warnings(), [
    'The settings of Redis could not be read (NOPERM): make sure that it has maxmemory-policy noeviction and appendonly yes.',
  ]);
});

test('settings that are changed while it runs are seen', async (t) => {
  const { monitor, redis } = await plant(t);
  await monitor.start();
  redis.settings['appendonly'] = 'no';
  await eventually(() => monitor.warnings().length === 1, 'the warning');
  redis.settings['appendonly'] = 'yes';
  await eventually(() => monitor.warnings().length === 0, 'its end');
});

test('a Redis that was started anew is told once, even when it does not tell its settings', async (t) => {
  const { monitor, redis, seen } = await plant(t);
  await monitor.start();
  assert.equal(seen.restarts, 0);
  redis.config = never;
  redis.runId = 'b';
  await eventually(() => seen.restarts === 1, 'the restart');
  redis.config = null;
  await eventually(() => monitor.trouble() === null, 'it answers');
  assert.equal(seen.restarts, 1);
});

test('a server that does not answer, or says that it can not', async (t) => {
  const { monitor, servers } = await plant(t);
  await monitor.start();
  assert.equal(monitor.trouble(), null);
  servers.mongo = never;
  await eventually(() => monitor.trouble() !== null, 'the trouble');
  assert.equal(monitor.trouble(), 'MongoDB does not answer: no answer for 20 ms');
  servers.redis = () => Promise.reject(new Error('Connection is closed.'));
  await eventually(() => /;/.test(monitor.trouble() ?? ''), 'both');
  assert.equal(monitor.trouble(), 'MongoDB does not answer: no answer for 20 ms; Redis does not answer: Connection is closed.');
  servers.mongo = null;
  servers.redis = null;
  await eventually(() => monitor.trouble() === null, 'the end of the trouble');
});
