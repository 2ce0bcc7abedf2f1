import assert from 'node:assert/strict';
import test from 'node:test';
import { newDoc } from '#engine/entities.ts';
import type { Value } from '#engine/json.ts';
import type { Doc } from '#engine/store.ts';
import copyToView from '#rulechains/nodes/action/copy-to-view.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NOW, run, services } from '#test/support/services.ts';

const LONG = (value: number): Value => ({ type: 'LONG', value });
const LISTS = { cs: ['a', 'c'], ss: ['a', 'b'], sh: ['a'] };

/** A view of the device. */
const view = (id: string, body: Record<string, unknown> = {}): Doc =>
  newDoc(
    {
      ...{ id, collection: 'ENTITY_VIEW', tenantId: TENANT, name: id },
      body: { entityId: { entityType: 'DEVICE', id: DEVICE }, keys: { timeseries: [], attributes: LISTS }, startTimeMs: 0, endTimeMs: 0, ...body },
    },
    1,
  );
const server = { scope: 'SERVER_SCOPE' };
const goesOn = (id: string, messageId: string) => ({ to: 'Success', id: messageId, originator: { entityType: 'ENTITY_VIEW', id } });
const FIRST = 'bbbbbbbb-0000-1000-8000-000000000001';
const SECOND = 'bbbbbbbb-0000-1000-8000-000000000002';
const ONE = { ...goesOn('v', FIRST), acknowledge: true };
const failure = (error: string) => ({ to: 'Failure', error });

for (const { name, type = 'ATTRIBUTES_UPDATED', data = { a: 1, b: 2, z: 3 }, metadata = server, views = [view('v')], to = ONE, did = [] } of [
  { name: 'what the view lists', did: [['save attributes', 'v', 'SERVER_SCOPE', { a: LONG(1), b: LONG(2) }, NOW]] },
  { name: 'shared ones', metadata: { scope: 'SHARED_SCOPE' }, did: [['save attributes', 'v', 'SHARED_SCOPE', { a: LONG(1) }, NOW]] },
  {
    name: 'posted ones are client attributes, whatever the scope says',
    type: 'POST_ATTRIBUTES_REQUEST',
    data: { a: 1, c: 2, b: 3 },
    did: [['save attributes', 'v', 'CLIENT_SCOPE', { a: LONG(1), c: LONG(2) }, NOW]],
  },
  { name: 'an activity event', type: 'ACTIVITY_EVENT', data: { b: 5 }, did: [['save attributes', 'v', 'SERVER_SCOPE', { b: LONG(5) }, NOW]] },
  { name: 'an inactivity event', type: 'INACTIVITY_EVENT', data: { b: 5 }, did: [['save attributes', 'v', 'SERVER_SCOPE', { b: LONG(5) }, NOW]] },
  { name: 'none of them listed: the message goes on all the same', data: { z: 1 }, did: [['save attributes', 'v', 'SERVER_SCOPE', {}, NOW]] },
  {
    name: 'a 64-bit integer',
    data: '{"a":9007199254740993}',
    did: [['save attributes', 'v', 'SERVER_SCOPE', { a: { type: 'LONG', value: 9007199254740993n } }, NOW]],
  },
  {
    name: 'deletes',
    type: 'ATTRIBUTES_DELETED',
    data: { attributes: ['b', 'z', 1, null] },
    did: [['remove attributes', 'v', 'SERVER_SCOPE', ['b']]],
  },
  { name: 'deletes nothing: nothing goes on', type: 'ATTRIBUTES_DELETED', data: { attributes: ['z'] }, to: [] },
  { name: 'deletes without a list', type: 'ATTRIBUTES_DELETED', data: {}, to: failure('Message body has no list of attributes!') },
  {
    name: 'each view for itself',
    views: [view('v'), view('w', { keys: { attributes: { ss: ['z'] } } })],
    to: [goesOn('v', FIRST), goesOn('w', SECOND)],
    did: [
      ['save attributes', 'v', 'SERVER_SCOPE', { a: LONG(1), b: LONG(2) }, NOW],
      ['save attributes', 'w', 'SERVER_SCOPE', { z: LONG(3) }, NOW],
    ],
  },
  { name: 'a view without lists', views: [view('v', { keys: null })], did: [['save attributes', 'v', 'SERVER_SCOPE', {}, NOW]] },
  { name: 'no view', views: [], to: [] },
  { name: 'no view: the body is not read', views: [], data: 'x', to: [] },
  { name: 'a view that begins later', views: [view('v', { startTimeMs: NOW })], to: [] },
  { name: 'a view that is over', views: [view('v', { endTimeMs: NOW })], to: [] },
  {
    name: 'a view that is open',
    views: [view('v', { startTimeMs: NOW - 1, endTimeMs: NOW + 1 })],
    did: [['save attributes', 'v', 'SERVER_SCOPE', { a: LONG(1), b: LONG(2) }, NOW]],
  },
  { name: 'another type', type: 'POST_TELEMETRY_REQUEST', to: failure('Unsupported msg type [POST_TELEMETRY_REQUEST]') },
  { name: 'empty metadata', metadata: {}, to: failure('Message metadata is empty') },
  { name: 'no scope', metadata: { k: 'v' }, to: failure('Name is null') },
  { name: 'a scope that is none', metadata: { scope: 'X' }, to: failure('Unknown attribute scope: X') },
  { name: 'a scope that is none, without views', views: [], metadata: { scope: 'X' }, to: failure('Unknown attribute scope: X') },
  { name: 'data that is no JSON', data: 'x', to: failure(`Unexpected token 'x', "x" is not valid JSON`) },
  { name: 'an array', data: [1], to: failure(`Can't parse value: [1]`) },
  { name: 'a null value', data: { a: null }, to: failure(`Can't parse value: null`) },
] as { name: string; type?: string; data?: unknown; metadata?: Record<string, string>; views?: Doc[]; to?: unknown; did?: unknown[][] }[])
  test(`copy to view: ${name}`, async () => {
    const given = services({ docs: Object.fromEntries(views.map((doc) => [doc.id, doc])) });
    assert.deepEqual(await run(copyToView, [message({ type, data, metadata })], { services: given }), [to]);
    assert.deepEqual(given.did, did);
  });
