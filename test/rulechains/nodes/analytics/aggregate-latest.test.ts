import assert from 'node:assert/strict';
import test from 'node:test';
import { Busy } from '#engine/errors.ts';
import type { Value } from '#engine/json.ts';
import { createMessage, type EntityRef } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import node from '#rulechains/nodes/analytics/aggregate-latest.ts';
import { group } from '../../../support/groups.ts';
import { message, TENANT } from '../../../support/message.ts';
import { NODE, NOW, services, start } from '../../../support/services.ts';

const house: EntityRef = { entityType: 'ASSET', id: 'house' };
const ref = (id: string): EntityRef => ({ entityType: 'DEVICE', id });
const [a, b, c] = [ref('a'), ref('b'), ref('c')];
const long = (value: number): Value => ({ type: 'LONG', value });
const double = (value: number): Value => ({ type: 'DOUBLE', value });
const text = (value: string): Value => ({ type: 'STRING', value });
const t = (value: Value) => ({ t: { ts: 1, value } });
const contains = (from: EntityRef, to: EntityRef, type = 'Contains') => ({ from, to, type, typeGroup: 'COMMON' });

const world = {
  latest: { a: t(long(20)), b: t(double(22.5)) },
  attributes: {
    'a SERVER_SCOPE': [['limit', long(7)]],
    'b SERVER_SCOPE': [['limit', text('8')]],
    'c SERVER_SCOPE': [
      ['limit', long(9)],
      ['on', text('no')],
    ],
  },
  relations: [contains(house, a), contains(house, b), contains(house, c), contains(ref('x'), house, 'Manages')],
  groups: [group('Cold'), group('Empty')],
  members: { 'group TENANT Cold': [a, b] },
  related: async ({ id }: EntityRef) => ({ house: [a, b, c], root: [house, ref('shed')] })[id] ?? [],
} as Parameters<typeof services>[0];

const mapping = (fields: Record<string, unknown>) => ({
  source: 't',
  sourceScope: 'LATEST_TELEMETRY',
  defaultValue: null,
  target: 'r',
  filter: null,
  ...fields,
});
const about = (originator: EntityRef) => createMessage({ tenantId: TENANT, type: 'TIMER', originator, data: '' }, () => 'timer', NOW);
const told = (list: readonly Emission[]) =>
  list.map(({ to, message: out, error }) => (error ? [to, out!.originator.id, error] : [to, out!.type, out!.originator.id, out!.data]));

for (const { name, mappings, config = {}, gives } of [
  { name: 'average', mappings: [mapping({ aggFunction: 'AVG' })], gives: '{"r":21.25}' },
  { name: 'a default stands in', mappings: [mapping({ aggFunction: 'AVG', defaultValue: 0 })], gives: '{"r":14.166666666666666}' },
  { name: 'minimum, one of them is no whole number', mappings: [mapping({ aggFunction: 'MIN' })], gives: '{"r":20.0}' },
  {
    name: 'attributes, also numerals in text',
    mappings: [mapping({ source: 'limit', sourceScope: 'SERVER_SCOPE', aggFunction: 'SUM' })],
    gives: '{"r":24}',
  },
  { name: 'count needs no source', mappings: [mapping({ source: '', aggFunction: 'COUNT' })], gives: '{"r":3}' },
  { name: 'count unique', mappings: [mapping({ source: 'limit', sourceScope: 'SERVER_SCOPE', aggFunction: 'COUNT_UNIQUE' })], gives: '{"r":3}' },
  { name: 'nothing there gives 0', mappings: [mapping({ source: 'x', aggFunction: 'MAX' })], gives: '{"r":0}' },
  {
    name: 'a filter by other values',
    mappings: [
      mapping({
        aggFunction: 'COUNT',
        filter: {
          serverAttributeNames: ['on', 'limit'],
          latestTsKeyNames: ['t'],
          filterFunction: 'return attributes.ss_on !== "no" && (attributes.t > 21 || attributes.ss_limit === 7);',
        },
      }),
    ],
    gives: '{"r":2}',
  },
  {
    name: 'several at once, in one message',
    mappings: [mapping({ aggFunction: 'MAX', target: 'max' }), mapping({ aggFunction: 'COUNT', target: 'n' })],
    gives: '{"max":22.5,"n":3}',
  },
  {
    name: 'relations to the originator',
    mappings: [mapping({ aggFunction: 'COUNT' })],
    config: { direction: 'TO', relationType: 'Manages' },
    gives: '{"r":1}',
  },
  { name: 'relations of a type that it has not', mappings: [mapping({ aggFunction: 'COUNT' })], config: { relationType: 'Uses' }, gives: '{"r":0}' },
])
  test(`aggregate latest: ${name}`, async () => {
    const running = await start(node, { config: { aggMappings: mappings, ...config }, services: services(world) });
    const outcome = (await node.process!(message({ originator: house }), running as never)) as Emission[];
    assert.deepEqual(told(outcome), [['Success', 'POST_TELEMETRY_REQUEST', 'house', gives]]);
  });

test('aggregate latest: what comes within the pause is answered by one aggregation at its end', async () => {
  let now = NOW;
  const given = services(world);
  const running = await start(node, {
    config: { aggMappings: [mapping({ aggFunction: 'COUNT' })], deduplicationInSec: 1 },
    services: { ...given, messages: { ...given.messages, now: () => now } },
  });
  const send = async () => told((await node.process!(message({ originator: house }), running as never)) as Emission[]).length;
  assert.equal(await send(), 1);
  now += 4000;
  assert.equal(await send(), 0);
  assert.equal(await send(), 0);
  assert.deepEqual(
    given.did.filter(([what]) => what === 'remind'),
    [['remind', 'house', 'pause', NOW + 10_000]],
    'ten seconds at least',
  );
  now = NOW + 10_000;
  assert.equal(told((await node.due!('pause', about(house), running as never)) as Emission[]).length, 1);
  now += 9999;
  assert.equal(await send(), 0);
  now += 10_001;
  assert.equal(await send(), 1, 'the one that waited is overdue: not lost, not doubled');
});

test('aggregate latest: a value that is no number, or a script that throws, leaves by Failure', async () => {
  const broken = services({ ...world, latest: { a: t(text('warm')) } });
  const running = await start(node, { config: { aggMappings: [mapping({ aggFunction: 'SUM' })] }, services: broken });
  assert.deepEqual(told((await node.process!(message({ originator: house }), running as never)) as Emission[]), [
    ['Failure', 'house', 'r: Value is not a number: "warm"'],
  ]);
  const filter = { filterFunction: 'return nope.x;' };
  const throwing = await start(node, { config: { aggMappings: [mapping({ aggFunction: 'SUM', filter })] }, services: services(world) });
  assert.deepEqual(told((await node.process!(message({ originator: house }), throwing as never)) as Emission[]), [
    ['Failure', 'house', 'r: nope is not defined'],
  ]);
});

const timer = { periodTimeUnit: 'SECONDS', periodValue: 1 };
for (const { name, query, gives } of [
  {
    name: 'one entity and its children',
    query: { type: 'single', entityId: house, childRelationsQuery: { direction: 'FROM', maxLevel: 1, filters: [] } },
    gives: [
      ['Success', 'POST_TELEMETRY_REQUEST', 'house', '{"max":22.5}'],
      ['Success', 'POST_TELEMETRY_REQUEST', 'house', '{"n":3}'],
    ],
  },
  {
    name: 'a group: its members are the children, the group has the result',
    query: { type: 'group', entityGroupId: { entityType: 'ENTITY_GROUP', id: 'group TENANT Cold' } },
    gives: [
      ['Success', 'POST_TELEMETRY_REQUEST', 'group TENANT Cold', '{"max":22.5}'],
      ['Success', 'POST_TELEMETRY_REQUEST', 'group TENANT Cold', '{"n":2}'],
    ],
  },
  {
    name: 'what a relations query finds',
    query: {
      type: 'query',
      rootEntityId: { entityType: 'ASSET', id: 'root' },
      relationsQuery: { direction: 'FROM', maxLevel: 1, filters: [] },
      childRelationsQuery: { direction: 'FROM', maxLevel: 1, filters: [] },
    },
    gives: [
      ['Success', 'POST_TELEMETRY_REQUEST', 'house', '{"max":22.5}'],
      ['Success', 'POST_TELEMETRY_REQUEST', 'house', '{"n":3}'],
      ['Success', 'POST_TELEMETRY_REQUEST', 'shed', '{"max":0}'],
      ['Success', 'POST_TELEMETRY_REQUEST', 'shed', '{"n":0}'],
    ],
  },
  {
    name: 'a group that is gone',
    query: { type: 'group', entityGroupId: 'gone' },
    gives: [['Failure', NODE.id, 'ENTITY_GROUP with id [gone] is not found']],
  },
])
  test(`aggregate latest by timer: ${name}`, async () => {
    const mappings = [mapping({ aggFunction: 'MAX', target: 'max' }), mapping({ aggFunction: 'COUNT', target: 'n' })];
    const ticks: { everyMs: number; tick: (run: never) => unknown }[] = [];
    const exact = { parentEntitiesQuery: query, aggMappings: mappings, ...timer };
    const running = await start(node, { exact, services: services(world), ticks: ticks as never });
    assert.deepEqual(
      ticks.map(({ everyMs }) => everyMs),
      [60_000],
      'a minute at least',
    );
    assert.deepEqual(await node.process!(message(), running as never), [], 'it has no input');
    assert.deepEqual(told((await node.due!('entities', about({ entityType: 'RULE_NODE', id: NODE.id }), running as never)) as Emission[]), gives);
  });

test('aggregate latest by timer: a store that is away is no failure; the timer comes again', async () => {
  const query = { type: 'single', entityId: house, childRelationsQuery: { direction: 'FROM', maxLevel: 1, filters: [] } };
  const related = async () => {
    throw new Busy('away');
  };
  const running = await start(node, {
    exact: { parentEntitiesQuery: query, aggMappings: [mapping({ aggFunction: 'COUNT' })] },
    services: services({ ...world, related }),
  });
  await assert.rejects(async () => node.due!('entities', about(house), running as never), { message: 'away' });
});

for (const { name, config, error } of [
  { name: 'no mappings', config: { aggMappings: [] }, error: 'Aggregation mappings should be specified!' },
  {
    name: 'a mapping without a target',
    config: { aggMappings: [mapping({ aggFunction: 'SUM', target: null })] },
    error: 'Target and function of every mapping should be specified!',
  },
  {
    name: 'a mapping without a source',
    config: { aggMappings: [mapping({ aggFunction: 'SUM', source: null })] },
    error: "Source of 'r' should be specified!",
  },
  { name: 'no relation type', config: { relationType: null }, error: 'Relation type should be specified!' },
  { name: 'entities of no kind', config: { parentEntitiesQuery: {} }, error: 'Entities should be specified!' },
  {
    name: 'a query without relations',
    config: { parentEntitiesQuery: { type: 'query', rootEntityId: house } },
    error: 'Relations query should be specified!',
  },
  {
    name: 'a filter that does not compile',
    config: { aggMappings: [mapping({ aggFunction: 'SUM', filter: { filterFunction: '((' } })] },
    error: 'Unexpected error when creating script engine: Unexpected end',
  },
])
  test(`aggregate latest: does not start with ${name}`, () => assert.rejects(start(node, { config }), { message: error }));
