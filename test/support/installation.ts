import { newId } from '#engine/id.ts';
import type { Value } from '#engine/json.ts';
import { type EntityRef, NULL_ID } from '#engine/message.ts';
import { type Backend, laneOf } from '#engine/queue.ts';
import type { Counter } from '#engine/store.ts';
import { KINDS, type Kind, type RecordPage, type Records, type Source } from '#engine/transfer.ts';
import type { Work } from '#engine/work.ts';
import { commit, device, doc, downlink, message, take } from './backend.ts';

const DAY_MS = 86_400_000;
const text = (value: string): Value => ({ type: 'STRING', value });

/** Values that a store may get wrong, by key. */
const VALUES: readonly (readonly [string, Value])[] = [
  ['boolean', { type: 'BOOLEAN', value: false }],
  ['long', { type: 'LONG', value: 42 }],
  ['longest', { type: 'LONG', value: 2n ** 63n - 1n }],
  ['whole double', { type: 'DOUBLE', value: 5 }],
  ['double', { type: 'DOUBLE', value: 1e-300 }],
  ['endless', { type: 'DOUBLE', value: Number.POSITIVE_INFINITY }],
  ['text', text('grüße €')],
  ['empty', text('')],
  ['json', { type: 'JSON', value: '{"a":{"$b.c":[1,null]}}' }],
  ['dotted.key', { type: 'LONG', value: 1 }],
  ['$dollar', { type: 'LONG', value: 2 }],
  ['__proto__', { type: 'LONG', value: 3 }],
];

export interface FillOptions {
  readonly now: number;
  /** Rows of history besides the strange ones. */
  readonly history?: number;
}

/** Puts something of every kind into a backend, through its port, as traffic would; most things more than once, and some that are taken when the process ends. */
export async function fill(backend: Backend, { now, history = 0 }: FillOptions): Promise<void> {
  const [tenantId, otherTenant, integrationId] = [newId(), newId(), newId()];
  const devices = Array.from({ length: 20 }, () => device());
  const [first, second, third] = devices as [EntityRef, EntityRef, EntityRef];
  const gone = device();

  await commit(backend, (work) => {
    work.docs.push({ doc: doc({ collection: 'TENANT', id: tenantId, tenantId: NULL_ID, name: 'Acme', uniqueKey: 'acme' }) });
    const body = { id: { id: integrationId, entityType: 'INTEGRATION' }, 'dotted.key': 1, $dollar: { nested: [null, '', 1.5, 'ü'] }, empty: {} };
    work.docs.push({ doc: doc({ collection: 'INTEGRATION', id: integrationId, tenantId, name: 'HTTP', kind: 'HTTP', label: null, body }) });
    for (const [index, { id }] of devices.entries())
      work.docs.push({
        doc: doc({ id, tenantId, name: `D ${index}`, label: `L${index}`, customerId: newId(), createdTime: now - index, body: { index } }),
      });
    work.docs.push({ doc: doc({ collection: 'ALARM', tenantId, name: 'high', kind: 'high', ref: first.id, state: 'ACTIVE_UNACK' }) });
    work.docs.push({ doc: doc({ collection: 'DEVICE', id: newId(), tenantId: otherTenant, name: 'D 0', body: { text: 'x'.repeat(100_000) } }) });
    work.count(tenantId, integrationId, 'uplinks.received', 7);
    work.count(tenantId, tenantId, 'messages.created', 3);
    work.count(otherTenant, otherTenant, 'downlinks.sent' satisfies Counter, 1);
  });
  // Saved again: versions above 1.
  for (let version = 1; version < 4; version++)
    await commit(backend, (work) => work.docs.push({ doc: doc({ id: first.id, tenantId, name: `again ${version}` }), expects: version }));

  await commit(backend, (work) => {
    for (const entity of [first, second, gone]) {
      for (const scope of ['CLIENT_SCOPE', 'SHARED_SCOPE', 'SERVER_SCOPE'] as const)
        for (const [key, value] of VALUES) work.attributes.push({ tenantId, entity, scope, key, value, lastUpdateTs: now });
      for (let ts = now - 5; ts < now; ts++)
        work.telemetry.push({ tenantId, entity, ts, values: VALUES, expiresAt: null, history: true, latest: true });
      work.relations.push({ tenantId, save: { from: entity, to: third, type: 'Contains', typeGroup: 'COMMON', additionalInfo: { 'a.b': 1 } } });
    }
    work.relations.push({ tenantId, save: { from: first, to: second, type: 'Manages', typeGroup: 'COMMON' } });
    const asset: EntityRef = { entityType: 'ASSET', id: newId() };
    work.telemetry.push({ tenantId, entity: asset, ts: now, values: [['of an asset', text('')]], expiresAt: null, history: true, latest: true });
    work.telemetry.push({ tenantId, entity: third, ts: -5, values: [['x', text('before 1970')]], expiresAt: null, history: true, latest: true });
    work.telemetry.push({ tenantId, entity: third, ts: 0, values: [['x', text('long ago')]], expiresAt: null, history: true, latest: true });
    work.telemetry.push({ tenantId, entity: third, ts: now, values: [['x', text('only latest')]], expiresAt: null, history: false, latest: true });
    work.telemetry.push({
      tenantId,
      entity: third,
      ts: 5,
      values: [['y', text('for days')]],
      expiresAt: now + 9 * DAY_MS,
      history: true,
      latest: false,
    });
    work.telemetry.push({ tenantId, entity: third, ts: 6, values: [['y', text('over')]], expiresAt: now - 1, history: true, latest: false });
    for (let i = 0; i < 50; i++)
      work.events.push({
        id: newId(),
        tenantId,
        entity: first,
        type: 'LC_EVENT',
        createdTime: now,
        body: { i, error: i % 2 ? 'no' : '', 'a.b': null },
      });
    work.events.push({ id: newId(), tenantId, entity: first, type: 'DEBUG_CONVERTER', createdTime: now - DAY_MS, body: { kept: true } });
    work.events.push({ id: newId(), tenantId, entity: first, type: 'DEBUG_CONVERTER', createdTime: now - 30 * DAY_MS, body: { over: true } });
  });
  for (let at = 0; at < history; at += 1000)
    await commit(backend, (work) => {
      for (let i = at; i < Math.min(history, at + 1000); i++)
        work.telemetry.push({
          ...{ tenantId, entity: devices[i % devices.length]!, ts: now - history + i, expiresAt: null, history: true, latest: true },
          values: [
            ['temperature', { type: 'DOUBLE', value: 20 + (i % 100) / 10 }],
            ['battery', { type: 'LONG', value: i % 100 }],
          ],
        });
    });
  // The same relation and sample again: another version, a joined row.
  await commit(backend, (work) => {
    work.relations.push({ tenantId, save: { from: first, to: second, type: 'Manages', typeGroup: 'COMMON' } });
    work.telemetry.push({ tenantId, entity: first, ts: now - 1, values: [['more', text('joined')]], expiresAt: null, history: true, latest: true });
    work.purges.push({ tenantId, entity: gone });
  });

  await commit(backend, (work) => {
    const fields = { createdTime: now, tenantId, owner: integrationId, integrationId, reason: 'why', entity: null, node: null, message: null };
    work.deadLetters.push({ ...fields, id: newId(), stage: 'uplink', payload: Uint8Array.of(0, 255, 10), metadata: { 'a.b': '$1' } });
    const dead = message(tenantId, first, '{"x":1}', { owner: integrationId });
    const node = { chainId: newId(), chainName: 'Root', nodeId: newId(), nodeName: 'save' };
    work.deadLetters.push({ ...fields, id: newId(), stage: 'chain', payload: new Uint8Array(), metadata: {}, entity: first, node, message: dead });
  });

  await fillQueue(backend, tenantId, integrationId, devices, now);
}

async function fillQueue(backend: Backend, tenantId: string, integrationId: string, devices: readonly EntityRef[], now: number): Promise<void> {
  const [first, second, third] = devices as [EntityRef, EntityRef, EntityRef];
  const of = (entity: EntityRef, data: string) => message(tenantId, entity, data, { owner: integrationId, metadata: { 'a.b': 'c' }, ts: now });
  // Held out of a taken batch, with more of the same originator behind it.
  await commit(backend, (work) => work.messages.push(of(first, 'h1'), of(first, 'h2')));
  const batch = await take(backend, laneOf(first.id, backend.queue.lanes));
  await commit(backend, (work) => {
    work.done.push(batch);
    for (const [index, held] of batch.messages.entries()) work.held.push({ message: held, notBefore: now + DAY_MS + index });
  });
  for (let round = 0; round < 3; round++)
    await commit(backend, (work) => {
      for (const [index, entity] of devices.entries()) work.messages.push(of(entity, `${round} ${index}\n"ü"`));
      work.delayed.push({ message: of(second, `later ${round}`), dueAt: now + 2 * DAY_MS });
      work.count(tenantId, integrationId, 'messages.created', devices.length + 1);
    });
  const one = (entity: EntityRef, fields = {}) => downlink({ tenantId, integrationId, entity, createdTime: now, ...fields });
  const sent = one(third, { delivery: 'now' });
  await commit(backend, (work) =>
    work.downlinks.push(one(first), one(first), one(second, { policy: 'fifo' }), one(second, { policy: 'fifo' }), sent),
  );
  await commit(backend, (work) => {
    const step = { tenantId, integrationId, id: sent.id, ts: now };
    work.downlinkMoves.push({ ...step, state: 'CONVERTED', reason: null }, { ...step, state: 'SENT', reason: 'QoS 1' });
  });
  const nodes = [newId(), newId()];
  const keep = (work: Work, kind: 'own' | 'send', data: string, nodeId = nodes[0]!): void => {
    const kept = message(tenantId, first, data, { owner: integrationId, at: { chainId: newId(), nodeId, labels: null } });
    work.kept.push({ message: kept, nodeId, kind, key: `${kind} "\u0001`, keptAt: now, attempts: 0, reason: null });
  };
  await commit(backend, (work) => {
    for (const kind of ['own', 'send', 'own'] as const) keep(work, kind, `${kind} of one`);
    for (const key of ['a', 'a.b/$c']) work.nodeStates.push({ tenantId, nodeId: nodes[0]!, key, value: { 'a.b': [null, 1.5, 'ü'] } });
  });
  await commit(backend, (work) => {
    keep(work, 'send', 'failed', nodes[1]);
    const { message: failed, nodeId } = work.kept[0]!;
    work.keptMoves.push({ tenantId, nodeId, messageId: failed.id, attempts: 3, reason: 'no answer' });
    work.nodeStates.push({ tenantId: newId(), nodeId: nodes[1]!, key: 'a', value: 'of another tenant' });
  });
  await backend.queue.takePending(integrationId, [first.id]);
  // The taken one is not replaced: both wait when it is not heard of again.
  await commit(backend, (work) => work.downlinks.push(one(first)));
  await take(backend, laneOf(second.id, backend.queue.lanes));
}

export type Dump = { readonly [K in Kind]: readonly unknown[] };

/** What the order of records means nothing beyond: sorted by this, and by all of them where order means nothing. */
const ORDERED: { readonly [K in Kind]?: (record: Records[K]) => string } = {
  waiting: ({ lane }) => String(lane),
  held: ({ message: { originator } }) => originator.id,
  delayed: ({ dueAt }) => String(dueAt),
  event: ({ entity, type, createdTime }) => `${entity.id}/${type}/${createdTime}`,
};

/** Everything of an installation, so that two that hold the same give the same. */
export async function dump(source: Source, at: number): Promise<Dump> {
  const all: Partial<Record<Kind, unknown[]>> = {};
  for (const kind of KINDS) {
    const records: Records[Kind][] = [];
    for (let cursor: string | null = null, isLast = false; !isLast; ) {
      const page: RecordPage<Kind> = await source.read(kind, cursor, at);
      records.push(...page.records);
      ({ cursor, isLast } = page);
    }
    const key = (ORDERED[kind] ?? printed) as (record: Records[Kind]) => string;
    const keyed = records.map((record) => ({ key: key(record), record }));
    keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    all[kind] = keyed.map(({ record }) => JSON.parse(printed(record)));
  }
  return all as Dump;
}

/** Types that JSON has not, told apart. Values of latest and history are a set. */
const printed = (record: object): string => {
  const values = 'values' in record ? { values: (record.values as unknown[]).map(plain).sort() } : {};
  return plain({ ...record, ...values });
};
const plain = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return `bigint ${part}`;
    if (typeof part === 'number' && !Number.isFinite(part)) return `number ${part}`;
    return part instanceof Uint8Array ? `bytes ${Buffer.from(part).toString('hex')}` : part;
  });
