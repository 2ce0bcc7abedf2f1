import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Rejected } from '#engine/errors.ts';
import type { Value } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import { type BatchServices, type DownlinkTarget, openBatchServices, type ServiceDeps } from '#engine/services/batch.ts';
import { openEntityCache } from '#engine/services/entities.ts';
import { openLimits, UNLIMITED } from '#engine/services/limits.ts';
import { openEntityViews } from '#engine/services/views.ts';
import type { NewAlarm, Services } from '#engine/services.ts';
import type { Doc, Relation } from '#engine/store.ts';
import { rewindPoint } from '#engine/walk/rewind.ts';
import { Work } from '#engine/work.ts';
import { openEngine } from '#test/support/chain.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';

const OTHER_TENANT = '884f394c-42b6-11ec-8d3d-0242ac130003';
const device: EntityRef = { entityType: 'DEVICE', id: DEVICE };
const number = (value: number): Value => ({ type: 'LONG', value });
const doc = (fields: Partial<Doc> & Pick<Doc, 'collection' | 'id'>): Doc => ({
  tenantId: TENANT,
  createdTime: 1,
  version: 1,
  name: fields.id,
  body: {},
  ...fields,
});
const DEVICE_DOC = doc({
  ...{ collection: 'DEVICE', id: DEVICE, name: 'TH-1', kind: 'thermometer', label: 'Cold room', customerId: 'customer 1' },
  body: { deviceProfileId: { entityType: 'DEVICE_PROFILE', id: 'profile 1' } },
});

interface Harness {
  readonly services: Services;
  readonly all: BatchServices;
  readonly work: Work;
  readonly after: (() => void)[];
  readonly heard: unknown[][];
  /** Commits and goes on with a new batch. */
  next(): Promise<Harness>;
  save(...docs: readonly Doc[]): Promise<void>;
}

async function open(t: TestContext, deps: Partial<ServiceDeps> = {}): Promise<Harness> {
  const { backend } = await openEngine(t);
  const onChange = backend.onChange.bind(backend);
  const entities = openEntityCache({ store: backend.store, onChange });
  const limits = openLimits({ entities, onChange });
  const heard: unknown[][] = [];
  const hear =
    (name: string) =>
    (...given: unknown[]): void =>
      void heard.push([name, ...given]);
  let ids = 0;
  const make = openBatchServices({
    ...{
      store: backend.store,
      entities,
      limits,
      views: openEntityViews({ store: backend.store, onChange }),
      devices: { observed: async (...given) => hear('observed')(...given) },
      downlinkTarget: () => null,
      newId: () => `id ${++ids}`,
      now: () => 5000,
      log: { info: hear('log') },
    },
    scripts: { check: async () => null, run: async () => [] },
    chains: { get: (tenantId, id) => (tenantId === TENANT && id === 'chain 1' ? ({} as never) : undefined) },
    waiting: {
      notifyAttributes: hear('attributes'),
      callDevice: async () => ({ ok: true, data: '1' }),
      replyToDevice: hear('reply'),
      answerRpc: hear('rpc'),
      answerRest: hear('rest'),
    },
    ...deps,
  });
  const batch = (): Harness => {
    const work = new Work();
    const after: (() => void)[] = [];
    const all = make(work, { enqueued: hear('enqueued'), afterCommit: (callback) => after.push(callback) });
    return {
      ...{ services: all.of(TENANT), all, work, after, heard },
      async next() {
        await backend.commit(work);
        return batch();
      },
      async save(...docs) {
        const saving = new Work();
        for (const each of docs) saving.docs.push({ doc: each });
        await backend.commit(saving);
      },
    };
  };
  return batch();
}

test('attributes: reads see what the batch wrote and removed, over what is stored', async (t) => {
  const before = await open(t);
  before.services.attributes.save(
    device,
    'SERVER_SCOPE',
    [
      ['a', number(1)],
      ['b', number(2)],
      ['c', number(3)],
    ],
    10,
  );
  before.services.attributes.save(device, 'SHARED_SCOPE', [['a', number(9)]], 10);
  const { services } = await before.next();
  services.attributes.save(
    device,
    'SERVER_SCOPE',
    [
      ['b', number(20)],
      ['d', number(40)],
    ],
    20,
  );
  services.attributes.remove(device, 'SERVER_SCOPE', ['c', 'd']);
  services.attributes.save(device, 'SERVER_SCOPE', [['d', number(41)]], 21);
  services.attributes.remove(device, 'SERVER_SCOPE', []);
  const found = (await services.attributes.find(device, 'SERVER_SCOPE')).map(({ key, value, lastUpdateTs }) => [key, value.value, lastUpdateTs]);
  assert.deepEqual(found.sort(), [
    ['a', 1, 10],
    ['b', 20, 20],
    ['d', 41, 21],
  ]);
  assert.deepEqual(await services.attributes.find(device, 'SERVER_SCOPE', ['d', 'zz']), [{ key: 'd', value: number(41), lastUpdateTs: 21 }]);
  assert.deepEqual(await services.attributes.find(device, 'CLIENT_SCOPE'), []);
});

test('attributes: what is taken back from the work is not read any more', async (t) => {
  const { services, all, work } = await open(t);
  services.attributes.save(device, 'SERVER_SCOPE', [['a', number(1)]], 10);
  const undo = rewindPoint(work);
  services.attributes.save(device, 'SERVER_SCOPE', [['a', number(2)]], 20);
  assert.equal((await services.attributes.find(device, 'SERVER_SCOPE'))[0]!.value.value, 2);
  undo();
  all.forget();
  assert.equal((await services.attributes.find(device, 'SERVER_SCOPE'))[0]!.value.value, 1);
});

test('telemetry: latest and rows of the batch, an older value never wins', async (t) => {
  const before = await open(t);
  before.services.telemetry.save(device, 100, [
    ['t', number(1)],
    ['u', number(1)],
  ]);
  const { services } = await before.next();
  services.telemetry.save(device, 200, [['t', number(2)]]);
  services.telemetry.save(device, 50, [
    ['u', number(0)],
    ['t', number(0)],
  ]);
  services.telemetry.save(device, 300, [['t', number(3)]], { latest: false });
  services.telemetry.save(device, 400, [['t', number(4)]], { history: false });
  const latest = await services.telemetry.latest(device, ['t', 'u', 'zz']);
  assert.deepEqual([...latest].sort(), [
    ['t', { ts: 400, value: number(4) }],
    ['u', { ts: 100, value: number(1) }],
  ]);
  const query = { keys: ['t'], startTs: 60, endTs: 300, aggregation: 'NONE', limit: 10, order: 'DESC' } as const;
  assert.deepEqual(
    await services.telemetry.history(device, query),
    new Map([
      [
        't',
        [
          { ts: 200, value: number(2) },
          { ts: 100, value: number(1) },
        ],
      ],
    ]),
  );
  assert.deepEqual((await services.telemetry.history(device, { ...query, limit: 1, order: 'ASC' })).get('t'), [{ ts: 100, value: number(1) }]);
});

test('telemetry: how long it is kept: as said, else as the tenant profile says, else for ever', async (t) => {
  const { services, work } = await open(t);
  services.telemetry.save(device, 1, [['t', number(1)]], { ttlMs: 10 });
  services.telemetry.save(device, 1, [['t', number(1)]]);
  services.telemetry.save(device, 1, []);
  assert.deepEqual(
    work.telemetry.map(({ expiresAt }) => expiresAt),
    [5010, null],
  );

  const profiled = await open(t, { limits: { known: () => ({ ...UNLIMITED, defaultTtlMs: 1000 }) } });
  profiled.services.telemetry.save(device, 1, [['t', number(1)]]);
  assert.deepEqual(
    profiled.work.telemetry.map(({ expiresAt }) => expiresAt),
    [6000],
  );
});

const ALARM: NewAlarm = {
  ...{ customerId: null, type: 'High', originator: device, severity: 'MAJOR', startTs: 1, endTs: 2, details: { a: 1 }, propagate: false },
  ...{ propagateToOwner: false, propagateToTenant: false, propagateRelationTypes: [] },
};

test('alarms: created, found, updated and cleared within one batch and over several', async (t) => {
  const first = await open(t);
  const made = await first.services.alarms.create(ALARM);
  assert.deepEqual(made, {
    ...ALARM,
    id: 'id 1',
    tenantId: TENANT,
    createdTime: 5000,
    acknowledged: false,
    cleared: false,
    assigneeId: null,
    ackTs: 0,
    clearTs: 0,
    assignTs: 0,
  });
  assert.deepEqual(await first.services.alarms.active(device, 'High'), made);
  const second = await first.next();
  assert.deepEqual(await second.services.alarms.active(device, 'High'), made);
  assert.equal(await second.services.alarms.active(device, 'Low'), null);
  const updated = await second.services.alarms.update({ ...made, severity: 'CRITICAL' });
  assert.deepEqual([await second.services.alarms.byId(made.id), await second.services.alarms.active(device, 'High')], [updated, updated]);
  const cleared = await second.services.alarms.clear(updated, 77, { why: 'cold' });
  assert.deepEqual(cleared, { ...updated, cleared: true, clearTs: 77, details: { why: 'cold' } });
  assert.equal(await second.services.alarms.active(device, 'High'), null);
  const third = await second.next();
  assert.equal(await third.services.alarms.active(device, 'High'), null);
  assert.deepEqual(await third.services.alarms.byId(made.id), cleared);
  assert.equal(await third.all.of(OTHER_TENANT).alarms.byId(made.id), null);
});

test('alarms: the JSON of messages', async (t) => {
  const { services, save } = await open(t);
  await save(DEVICE_DOC, doc({ collection: 'USER', id: 'user 1', name: 'a@b.c', body: { firstName: 'A', lastName: null } }));
  const alarm = { ...(await services.alarms.create(ALARM)), assigneeId: 'user 1', acknowledged: true };
  assert.deepEqual(JSON.parse(await services.alarms.toJson(alarm)), {
    id: { entityType: 'ALARM', id: 'id 1' },
    createdTime: 5000,
    tenantId: { entityType: 'TENANT', id: TENANT },
    customerId: null,
    type: 'High',
    originator: device,
    severity: 'MAJOR',
    acknowledged: true,
    cleared: false,
    assigneeId: { entityType: 'USER', id: 'user 1' },
    startTs: 1,
    endTs: 2,
    ackTs: 0,
    clearTs: 0,
    assignTs: 0,
    details: { a: 1 },
    propagate: false,
    propagateToOwner: false,
    propagateToTenant: false,
    propagateRelationTypes: [],
    originatorName: 'TH-1',
    originatorLabel: 'Cold room',
    originatorDisplayName: 'Cold room',
    assignee: { id: { entityType: 'USER', id: 'user 1' }, firstName: 'A', lastName: null, email: 'a@b.c' },
    name: 'High',
    status: 'ACTIVE_ACK',
  });
});

test('entities: summaries, other tenants, and what changed is read anew', async (t) => {
  const { services, all, save } = await open(t);
  assert.equal(await services.entities.summary(device), null);
  await save(
    DEVICE_DOC,
    doc({ collection: 'DEVICE_PROFILE', id: 'profile 1', body: { defaultRuleChainId: { entityType: 'RULE_CHAIN', id: 'chain 7' } } }),
  );
  assert.deepEqual(await services.entities.summary(device), {
    ref: device,
    name: 'TH-1',
    type: 'thermometer',
    label: 'Cold room',
    profileId: 'profile 1',
    customerId: 'customer 1',
  });
  assert.deepEqual([await services.entities.customerOf(device), await services.chains.defaultOf(device)], ['customer 1', 'chain 7']);
  assert.equal(await all.of(OTHER_TENANT).entities.find(device), null);
  assert.equal((await services.entities.byName('DEVICE', 'TH-1'))?.id, DEVICE);
  await save({ ...DEVICE_DOC, label: 'Warm room' });
  assert.equal((await services.entities.summary(device))?.label, 'Warm room');
  assert.deepEqual(
    [services.chains.exists('chain 1'), services.chains.exists('chain 2'), all.of(OTHER_TENANT).chains.exists('chain 1')],
    [true, false, false],
  );
  assert.equal(await services.chains.defaultOf({ entityType: 'CUSTOMER', id: 'customer 1' }), null);
});

const asset = (id: string): EntityRef => ({ entityType: 'ASSET', id });
const relation = (from: EntityRef, to: EntityRef, type = 'Contains'): Relation => ({ from, to, type, typeGroup: 'COMMON' });

test('relations: the batch lies over the store; a search goes level by level and never round', async (t) => {
  const before = await open(t);
  const [a, b, c] = [asset('a'), asset('b'), asset('c')];
  for (const each of [relation(a, b), relation(b, c), relation(c, a), relation(a, device, 'Manages')]) before.services.relations.save(each);
  const { services } = await before.next();
  services.relations.save(relation(c, device));
  services.relations.remove(relation(a, device, 'Manages'));
  assert.deepEqual(
    (await services.relations.find({ from: a })).map(({ to, type }) => [to.id, type]),
    [['b', 'Contains']],
  );
  const search = async (more: object) =>
    (await services.relations.search(a, { direction: 'FROM', maxLevel: 0, fetchLastLevelOnly: false, filters: [], ...more })).map(({ id }) =>
      id === DEVICE ? 'device' : id,
    );
  assert.deepEqual(
    {
      all: await search({}),
      one: await search({ maxLevel: 1 }),
      last: await search({ maxLevel: 2, fetchLastLevelOnly: true }),
      leaves: await search({ fetchLastLevelOnly: true }),
      devices: await search({ filters: [{ relationType: 'Contains', entityTypes: ['DEVICE'] }] }),
      negated: await search({ filters: [{ relationType: 'Contains', entityTypes: [], negate: true }] }),
      back: await search({ direction: 'TO', maxLevel: 1 }),
    },
    {
      all: ['b', 'c', 'a', 'device'],
      one: ['b'],
      last: ['c'],
      leaves: ['a', 'device'],
      devices: ['device'],
      negated: ['b', 'c', 'a', 'device'],
      back: ['c'],
    },
  );
});

test('messages: new ones enter from the start and are counted by their owner', async (t) => {
  const { services, work, heard } = await open(t);
  const from = message({
    at: { chainId: 'a', nodeId: 'n', labels: null },
    stack: [{ chainId: 'a', nodeId: 'n' }],
    effect: true,
    attempts: 3,
    owner: 'integration 1',
  });
  services.messages.enqueue(from);
  const fresh = { ...from, at: null, stack: [], effect: false, attempts: 0 };
  assert.deepEqual([work.messages, heard], [[fresh], [['enqueued', fresh]]]);
  assert.deepEqual([...work.counts.values()], [{ tenantId: TENANT, owner: 'integration 1', counter: 'messages.created', by: 1 }]);
});

test('downlinks: queued for the integration and counted there', async (t) => {
  const target: DownlinkTarget = { delivery: 'pending', policy: 'last', ttlMs: 100, problem: null };
  const { services, work } = await open(t, { downlinkTarget: () => target });
  await services.downlinks.push('integration 1', message());
  assert.deepEqual(work.downlinks, [
    {
      ...{ id: 'id 1', createdTime: 5000, tenantId: TENANT, integrationId: 'integration 1', entity: device, delivery: 'pending', policy: 'last' },
      ...{ expiresAt: 5100, message: message(), state: 'QUEUED', history: [{ state: 'QUEUED', ts: 5000, reason: null }] },
    },
  ]);
  assert.deepEqual([...work.counts.values()], [{ tenantId: TENANT, owner: 'integration 1', counter: 'downlinks.created', by: 1 }]);
});

for (const { name, target, originator = device, text } of [
  { name: 'an unknown integration', target: null, text: 'Integration integration 1 is not known' },
  {
    name: 'one that takes none',
    target: { delivery: 'now', policy: 'last', ttlMs: 0, problem: 'Integration is disabled' } as const,
    text: 'Integration is disabled',
  },
  {
    name: 'a customer',
    target: null,
    originator: { entityType: 'CUSTOMER', id: 'c' } as const,
    text: 'Downlinks go to devices and assets, not to CUSTOMER',
  },
]) {
  test(`downlinks: refused for ${name}`, async (t) => {
    const { services, work } = await open(t, { downlinkTarget: () => target });
    await assert.rejects(
      services.downlinks.push('integration 1', message({ originator })),
      (error) => error instanceof Rejected && error.message === text,
    );
    assert.equal(work.isEmpty, true);
  });
}

test('those who wait are answered after the commit, in order', async (t) => {
  const { services, after, heard } = await open(t);
  services.rpc.reply('session 1', '7', '{"a":1}');
  services.rpc.complete('request 1', { ok: true, data: null });
  services.rest.reply('request 2', message({ data: { b: 2 } }));
  services.attributes.notifyDevice(DEVICE, { deleted: ['k'] });
  assert.deepEqual(heard, []);
  for (const callback of after) callback();
  assert.deepEqual(heard, [
    ['reply', 'session 1', '7', '{"a":1}'],
    ['rpc', 'request 1', { ok: true, data: null }],
    ['rest', 'request 2', '{"b":2}'],
    ['attributes', DEVICE, { scope: 'SHARED_SCOPE', deleted: ['k'] }],
  ]);
});

test('limits: as the tenant profile says, and anew when it changes', async (t) => {
  const { backend } = await openEngine(t);
  const onChange = backend.onChange.bind(backend);
  const limits = openLimits({ entities: openEntityCache({ store: backend.store, onChange }), onChange });
  const system = '13814000-1dd2-11b2-8080-808080808080';
  const save = async (configuration: object): Promise<void> => {
    const work = new Work();
    work.docs.push({ doc: doc({ collection: 'TENANT', id: TENANT, body: { tenantProfileId: { id: 'profile 1' } } }) });
    work.docs.push({ doc: doc({ collection: 'TENANT_PROFILE', id: 'profile 1', tenantId: system, body: { profileData: { configuration } } }) });
    await backend.commit(work);
  };
  assert.deepEqual(await limits.of(TENANT), UNLIMITED);
  await save({ maxRuleNodeExecutionsPerMessage: 50, defaultStorageTtlDays: 2 });
  const read = limits.of(TENANT);
  assert.ok(read instanceof Promise);
  assert.deepEqual(limits.known(TENANT), UNLIMITED);
  assert.deepEqual(await read, { ...UNLIMITED, maxExecutions: 50, defaultTtlMs: 172_800_000 });
  assert.deepEqual([limits.of(TENANT), limits.known(TENANT)], [await read, await read]);
});
