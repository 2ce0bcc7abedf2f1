import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Message } from '#engine/message.ts';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';
import { eventually } from '#test/support/wait.ts';

let api: Api;
let device: string;
let user: { id: { id: string }; tenantId: { id: string } };

before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device', { body: { name: 'd', type: 'default' } })).body.id.id;
  user = (await api.call('GET', '/api/auth/user')).body;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

async function inLane(originator: string): Promise<Message> {
  let message: Message | undefined;
  await eventually(async () => {
    [message] = await takeMessages(api.context.backend, originator);
    return message !== undefined;
  }, 'the message');
  return message!;
}

for (const { name, path, originator, queueName = null, text, reply, want } of [
  {
    name: 'an entity with a time-out',
    path: () => `DEVICE/${device}/5000`,
    originator: () => device,
    text: '{"t": 1.0}',
    reply: '{"ok":true}',
    want: [200, '{"ok":true}'],
  },
  { name: 'the caller itself', path: () => '', originator: () => user.id.id, text: '[1]', reply: '"text"', want: [200, '"text"'] },
  {
    name: 'a queue',
    path: () => `DEVICE/${device}/HighPriority/5000`,
    originator: () => device,
    queueName: 'HighPriority',
    text: '5',
    reply: 'null',
    want: [200, 'null'],
  },
  { name: 'a reply that is no JSON', path: () => `DEVICE/${device}/5000`, originator: () => device, text: '{}', reply: 'ok', want: [406, ''] },
  {
    name: 'more behind the value is kept',
    path: () => `DEVICE/${device}/5000`,
    originator: () => device,
    text: '{"a":1} and more',
    reply: '{}',
    want: [200, '{}'],
  },
] as const) {
  test(`push: ${name}`, async () => {
    const answer = api.call('POST', `/api/rule-engine/${path()}`, { text, type: 'text/plain' });
    const message = await inLane(originator());
    const { requestUUID, expirationTime, ...metadata } = message.metadata;
    assert.deepEqual([message.type, message.data, message.queueName, metadata], ['REST_API_REQUEST', text, queueName, { serviceId: 'test' }]);
    assert.ok(Number(expirationTime) > Date.now());
    api.context.waiting.answerRest(requestUUID!, reply);
    const got = await answer;
    assert.deepEqual([got.status, got.text], want);
  });
}

for (const { name, path, text, status } of [
  { name: 'no reply in time', path: () => `DEVICE/${device}/0`, text: '{}', status: 408 },
  { name: 'no JSON', path: () => `DEVICE/${device}/5000`, text: 'hello', status: 400 },
  { name: 'nothing', path: () => `DEVICE/${device}/5000`, text: '', status: 400 },
  { name: 'a time-out that is none', path: () => `DEVICE/${device}/soon`, text: '{}', status: 400 },
  { name: 'the tenant', path: () => `TENANT/${user.tenantId.id}/5000`, text: '{}', status: 403 },
  { name: 'a device that nobody has', path: () => 'DEVICE/784f394c-42b6-435a-983c-b7beff2784f9/5000', text: '{}', status: 404 },
] as const) {
  test(`push: ${name} → ${status}`, async () => {
    const { status: got, body } = await api.call('POST', `/api/rule-engine/${path()}`, { text });
    assert.equal(got, status);
    if (status !== 408) assert.equal(body.status, status);
  });
}
