import assert from 'node:assert/strict';
import test from 'node:test';
import { newAsset } from '#engine/entities.ts';
import type { Emission } from '#engine/node.ts';
import generator from '#rulechains/nodes/action/generator.ts';
import { TENANT } from '#test/support/message.ts';
import { NODE, NOW, type RunOptions, services, start } from '#test/support/services.ts';

const js = (jsScript: string) => ({ scriptLang: 'JS', jsScript });
const CHAINED = "return {msg: {n: (prevMsg.n || 0) + 1, t: prevMsgType, m: prevMetadata.c}, metadata: {c: 'x' + (prevMsg.n || 0)}, msgType: 'GEN'};";

async function ticks(options: RunOptions, times: number) {
  const scheduled: NonNullable<RunOptions['ticks']> = [];
  const given = options.services ?? services();
  await start(generator, { ...options, services: given, ticks: scheduled });
  const [{ everyMs, tick }] = scheduled as [(typeof scheduled)[0]];
  const made: unknown[] = [];
  for (let i = 0; i < times; i++) {
    const outcome = await tick(given);
    made.push(
      outcome === 'stop'
        ? outcome
        : outcome.map(({ to, message, error }: Emission) => ({
            to,
            error,
            type: message!.type,
            data: message!.data,
            metadata: message!.metadata,
            from: message!.originator,
          })),
    );
  }
  return { everyMs, made };
}
const self = { entityType: 'RULE_NODE', id: NODE.id };

test('generator: each message is made from the one before, until there are enough', async () => {
  const { everyMs, made } = await ticks({ config: { msgCount: 2, periodInSeconds: 3, ...js(CHAINED) } }, 3);
  assert.equal(everyMs, 3000);
  assert.deepEqual(made, [
    [{ to: 'Success', error: undefined, type: 'GEN', data: '{"n":1,"t":""}', metadata: { c: 'x0' }, from: self }],
    [{ to: 'Success', error: undefined, type: 'GEN', data: '{"n":2,"t":"GEN","m":"x0"}', metadata: { c: 'x1' }, from: self }],
    'stop',
  ]);
});

test('generator: what the script leaves out stays empty', async () => {
  const { made } = await ticks({ config: js('return {msg: {a: 1}};') }, 1);
  assert.deepEqual(made, [[{ to: 'Success', error: undefined, type: '', data: '{"a":1}', metadata: {}, from: self }]]);
});

test('generator: a script that fails counts, and the next goes on', async () => {
  const { made } = await ticks({ config: { msgCount: 1, ...js("throw 'x';") } }, 2);
  assert.deepEqual(made, [[{ to: 'Failure', error: 'x', type: 'GENERATOR_NODE_SELF_MSG', data: '', metadata: {}, from: self }], 'stop']);
});

test('generator: messages have the time of their making and the queue of the node', async () => {
  const scheduled: NonNullable<RunOptions['ticks']> = [];
  const given = services();
  await start(generator, {
    services: given,
    config: { originatorType: 'TENANT', ...js('return {};') },
    node: { queueName: 'HighPriority' },
    ticks: scheduled,
  });
  const [emission] = (await scheduled[0]!.tick(given)) as Emission[];
  assert.deepEqual(
    [emission!.message!.ts, emission!.message!.queueName, emission!.message!.originator],
    [NOW, 'HighPriority', { entityType: 'TENANT', id: TENANT }],
  );
});

test('generator: speaks for an entity of the tenant', async () => {
  const asset = newAsset({ tenantId: TENANT, name: 'Hall', type: 'hall', profileId: 'p' }, 1);
  const { made } = await ticks(
    { services: services({ docs: { [asset.id]: asset } }), config: { originatorType: 'ASSET', originatorId: asset.id, ...js('return {};') } },
    1,
  );
  assert.deepEqual((made[0] as { from: unknown }[])[0]!.from, { entityType: 'ASSET', id: asset.id });
});

const UNKNOWN = '11111111-2222-3333-4444-555555555555';
for (const { config, reason } of [
  { config: { originatorType: 'DEVICE', originatorId: null }, reason: 'Originator entity must be selected.' },
  { config: { originatorType: 'DEVICE', originatorId: ' ' }, reason: 'Originator entity must be selected.' },
  { config: { originatorType: 'DEVICE', originatorId: 'abc' }, reason: 'Invalid UUID string: abc' },
  { config: { originatorType: null }, reason: "Originator type 'null' is not supported." },
  { config: { originatorType: 'ALARM', originatorId: UNKNOWN }, reason: "Originator type 'ALARM' is not supported." },
  {
    config: { originatorType: 'DEVICE', originatorId: UNKNOWN },
    reason: `Entity with id: '${UNKNOWN}' specified in the configuration doesn't belong to the current tenant.`,
  },
  { config: js(''), reason: 'JS script is blank!' },
])
  test(`generator: unusable, ${reason}`, () => assert.rejects(start(generator, { config: { ...js('return {};'), ...config } }), { message: reason }));
