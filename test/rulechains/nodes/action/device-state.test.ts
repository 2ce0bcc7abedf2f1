import assert from 'node:assert/strict';
import test from 'node:test';
import { Rejected } from '#engine/errors.ts';
import deviceState from '#rulechains/nodes/action/device-state.ts';
import { rateLimit } from '#rulechains/shared/rate-limit.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const at = (seconds: number, id = `m${seconds}`) => ({ id, seconds });
const LIMITED = { to: 'Rate limited', effect: false };

for (const event of ['ACTIVITY_EVENT', 'CONNECT_EVENT', 'DISCONNECT_EVENT', 'INACTIVITY_EVENT'])
  test(`device state: ${event}`, async () => {
    const given = services();
    assert.deepEqual(
      await run(deviceState, [message({ data: 'no JSON', metadata: { ts: '1650000000000' } })], { config: { event }, services: given }),
      ['Success'],
    );
    assert.deepEqual(given.did, [['device state', DEVICE, event, 1_650_000_000_000]]);
  });

for (const { name, metadata } of [
  { name: 'without one', metadata: {} },
  { name: 'with one that is none', metadata: { ts: 'x' } },
])
  test(`device state: metadata ${name}: the time of the message`, async () => {
    const given = services();
    await run(deviceState, [message({ metadata })], { services: given });
    assert.deepEqual(given.did, [['device state', DEVICE, 'ACTIVITY_EVENT', 1_700_000_000_000]]);
  });

test('device state: not a device, too often, and a device that is gone, each for itself', async () => {
  const given = services({
    async report(deviceId) {
      if (deviceId === 'gone') throw new Rejected('Device with id [gone] is not found');
    },
  });
  const of = (id: string, fields = {}) => message({ id: `m ${id} ${JSON.stringify(fields)}`, originator: { entityType: 'DEVICE', id }, ...fields });
  const asset = message({ originator: { entityType: 'ASSET', id: 'a' } });
  assert.deepEqual(await run(deviceState, [of('d'), asset, of('gone'), of('d', { ts: 5 }), of('e')], { services: given }), [
    'Success',
    { to: 'Failure', error: 'Unsupported originator entity type: [ASSET]. Only DEVICE entity type is supported.' },
    { to: 'Failure', error: 'Device with id [gone] is not found' },
    LIMITED,
    'Success',
  ]);
});

for (const { name, config, error } of [
  { name: 'none', config: { event: null }, error: 'Event cannot be null!' },
  { name: 'no event at all', config: { event: 'FOO' }, error: 'Can\'t convert value: {"event":"FOO"}' },
  { name: 'another', config: { event: 'POST_TELEMETRY_REQUEST' }, error: 'Unsupported event: POST_TELEMETRY_REQUEST' },
])
  test(`device state: event ${name}: it can not start`, () => assert.rejects(start(deviceState, { config }), { message: error }));

for (const { name, spec, asked, allowed } of [
  { name: 'one a second', spec: '1:1', asked: [at(0), at(0.5), at(1), at(1.5), at(2.1)], allowed: [true, false, true, false, true] },
  {
    name: 'what was saved up is used up',
    spec: '3:3',
    asked: [at(0), at(0.1), at(0.2), at(0.3), at(1.2), at(1.3)],
    allowed: [true, true, true, false, true, false],
  },
  {
    name: 'the same once more is let through once more',
    spec: '1:10',
    asked: [at(0, 'a'), at(1, 'a'), at(2, 'b'), at(3, 'b')],
    allowed: [true, true, false, false],
  },
  { name: 'all limits hold', spec: '1:1,2:60', asked: [at(0), at(1), at(2), at(40)], allowed: [true, true, false, true] },
  { name: 'a clock that goes back gives nothing', spec: '1:1', asked: [at(10), at(9), at(10.5)], allowed: [true, false, false] },
])
  test(`rate limit: ${name}`, () => {
    const limit = rateLimit(spec);
    assert.deepEqual(
      asked.map(({ id, seconds }) => limit.allows('k', id, seconds * 1000)),
      allowed,
    );
    assert.equal(limit.allows('other', 'z', asked.at(-1)!.seconds * 1000), true);
  });
