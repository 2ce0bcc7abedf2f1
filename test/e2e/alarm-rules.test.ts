import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { attributes, eventually, importChain } from '../support/tenant.ts';
import rootChain from './chains/device-profile-root.json' with { type: 'json' };

/** A root chain as 3.2 to 4.3 made it, with "device profile" as its first node, and the alarm rules of a profile. */

let product: Product;
let token: string;
let device: Answer;
let profile: Answer;

const number = (operation: string, defaultValue: number) => ({
  key: { type: 'TIME_SERIES', key: 'temperature' },
  valueType: 'NUMERIC',
  value: null,
  predicate: { type: 'NUMERIC', operation, value: { defaultValue, userValue: null, dynamicValue: null } },
});
const rule = (filter: object, spec: object = { type: 'SIMPLE' }) => ({
  condition: { condition: [filter], spec },
  schedule: null,
  alarmDetails: 'It is ${temperature} °C',
  dashboardId: null,
});
const seconds = (defaultValue: number) => ({ type: 'DURATION', unit: 'SECONDS', predicate: { defaultValue, userValue: null, dynamicValue: null } });
const alarmRules = (alarms: readonly object[]) => ({ ...profile, profileData: { ...profile.profileData, alarms } });

before(async () => {
  product = await startProduct();
  await importChain(product, rootChain, { root: true });
  const data = { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } };
  profile = await product.call('POST', '/api/deviceProfile', { name: 'thermometer', type: 'DEFAULT', profileData: data });
  profile = await product.call(
    'POST',
    '/api/deviceProfile',
    alarmRules([
      {
        id: 'high',
        alarmType: 'High temperature',
        createRules: { MAJOR: rule(number('GREATER', 30)), CRITICAL: rule(number('GREATER', 50)) },
        clearRule: rule(number('LESS', 25)),
        propagateToTenant: true,
      },
    ]),
  );
  device = await product.call('POST', '/api/device', { name: 'TH-1', type: 'thermometer', label: 'Cold room' });
  token = (await product.call('GET', `/api/device/${device.id.id}/credentials`)).credentialsId;
});
after(() => product?.close());

const send = (temperature: number) => product.request('POST', `/api/v1/${token}/telemetry`, { temperature }, { token: null });
const alarms = async (entityType = 'DEVICE', id: string = device.id.id): Promise<Answer[]> =>
  (await product.call('GET', `/api/alarm/${entityType}/${id}?pageSize=10&page=0&sortProperty=createdTime&sortOrder=DESC`)).data;
/** What the chain behind the alarm labels has written. */
const told = (want: string) =>
  eventually(`the chain tells '${want}'`, async () => {
    const values = await attributes(product, device.id.id, 'SERVER_SCOPE');
    return values['alarm'] === want && values;
  });

test('telemetry over the limit raises the alarm, worse makes it worse, under the limit clears it', async () => {
  assert.equal((await send(31)).status, 200);
  const values = await told('created MAJOR');
  assert.deepEqual([values['alarmStatus'], values['device']], ['ACTIVE_UNACK', 'TH-1']);
  const [alarm] = await alarms();
  assert.deepEqual(
    [alarm.type, alarm.severity, alarm.status, alarm.details, alarm.originatorDisplayName],
    ['High temperature', 'MAJOR', 'ACTIVE_UNACK', { data: 'It is 31 °C' }, 'Cold room'],
  );
  const [shown] = await alarms('TENANT', alarm.tenantId.id);
  assert.deepEqual(shown.id, alarm.id, 'the tenant shows it too');

  await send(51);
  await told('worse CRITICAL');
  const comments = (await product.call('GET', `/api/alarm/${alarm.id.id}/comment?pageSize=10&page=0`)).data;
  assert.deepEqual(
    comments.map(({ comment }: Answer) => comment.text),
    ['Alarm severity was updated from MAJOR to CRITICAL'],
  );
  await send(20);
  await told('cleared CRITICAL');
  assert.deepEqual(
    (await alarms()).map(({ id, status }) => [id.id, status]),
    [[alarm.id.id, 'CLEARED_UNACK']],
  );
});

test('an alarm that a user has cleared is raised again by the next value', async () => {
  await send(35);
  await told('created MAJOR');
  const [alarm] = await alarms();
  await product.call('POST', `/api/alarm/${alarm.id.id}/clear`);
  await send(36);
  await eventually('there is a new one', async () => (await alarms())[0].id.id !== alarm.id.id);
  await send(20);
  await told('cleared MAJOR');
});

test('a changed profile counts for running chains, and a duration ends by the clock, over a kill -9', async () => {
  profile = await product.call('GET', `/api/deviceProfile/${profile.id.id}`);
  await product.call(
    'POST',
    '/api/deviceProfile',
    alarmRules([{ id: 'long', alarmType: 'Too long', createRules: { MINOR: rule(number('GREATER', 30), seconds(3)) } }]),
  );
  await send(40);
  await eventually('the value is stored', async () => {
    const path = `/api/plugins/telemetry/DEVICE/${device.id.id}/values/timeseries?keys=temperature`;
    return (await product.call('GET', path)).temperature[0].value === '40';
  });
  await product.kill();
  await product.start();
  await told('created MINOR');
  const [alarm] = await alarms();
  assert.deepEqual([alarm.type, alarm.severity, alarm.details], ['Too long', 'MINOR', { data: 'It is 40 °C' }]);
});
