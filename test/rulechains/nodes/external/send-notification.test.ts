import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { SMTPServer } from 'smtp-server';
import { json } from '#engine/json.ts';
import type { Doc } from '#engine/store.ts';
import sendNotification from '#rulechains/nodes/external/send-notification.ts';
import { fillTemplate, variablesOf } from '#rulechains/shared/notification.ts';
import { openDelivery } from '#rulechains/shared/notification-delivery.ts';
import { external } from '#test/support/external.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, start } from '#test/support/services.ts';

const doc = (collection: Doc['collection'], id: string, name: string, body: Record<string, unknown>): Doc => ({
  ...{ collection, id, name, body, tenantId: TENANT, createdTime: 1, version: 1 },
});
const template = (methods: Record<string, object>) =>
  doc('NOTIFICATION_TEMPLATE', 'template', 'hot', {
    notificationType: 'RULE_NODE',
    configuration: {
      deliveryMethodsTemplates: Object.fromEntries(Object.entries(methods).map(([method, each]) => [method, { method, enabled: true, ...each }])),
    },
  });
const people = doc('NOTIFICATION_TARGET', 'people', 'people', { configuration: { type: 'PLATFORM_USERS', usersFilter: { type: 'ALL_USERS' } } });
const channel = doc('NOTIFICATION_TARGET', 'channel', 'channel', {
  configuration: { type: 'SLACK', conversationType: 'PUBLIC_CHANNEL', conversation: { id: 'C1', title: '#ops' } },
});
const ann = doc('USER', 'ann', 'ann@plant.example', { email: 'ann@plant.example', firstName: 'ann', lastName: 'Lee', phone: '+15551' });
const bob = doc('USER', 'bob', 'bob@plant.example', { email: 'bob@plant.example' });

const config = (targets: string[]) => ({ targets, templateId: { entityType: 'NOTIFICATION_TEMPLATE', id: 'template' } });
const result = (outcome: unknown) => JSON.parse((outcome as { metadata: Record<string, string> }).metadata['notificationRequestResult']!);

test('send notification: what a template may name', () => {
  const at = message({ data: '{"room":{"t":24.0},"big":9007199254740993,"list":[1,{"a":2}],"none":null,"k":"data"}', metadata: { k: 'md', m: 'x' } });
  assert.deepEqual(variablesOf(at, json(at)), {
    ...{ k: 'data', m: 'x', 'room.t': '24.0', big: '9007199254740993', list: '[1,{"a":2}]', 'list[0]': '1', 'list[1].a': '2', none: '' },
    ...{ originatorType: 'Device', originatorId: DEVICE, customerId: '', msgType: 'POST_TELEMETRY_REQUEST' },
  });
  for (const [text, filled] of [
    ['${a.b} ${a.b:upperCase} ${a.b:lowerCase} ${c:capitalize}', 'xY XY xy Word'],
    ['${none} ${a.b:other} $[a] ${', '${none} xY $[a] ${'],
    [null, ''],
    ['${d}', '${c}'],
  ] as const)
    assert.equal(fillTemplate(text, { 'a.b': 'xY', c: 'word', d: '${c}' }), filled);
});

for (const { config: given, error } of [
  { config: {}, error: "'node under test' node configuration is invalid: targets must not be empty, templateId must not be null" },
  { config: { targets: ['a'], templateId: { id: null } }, error: "'node under test' node configuration is invalid: templateId must not be null" },
])
  test(`send notification does not start: ${error}`, () => assert.rejects(start(sendNotification, { config: given }), { message: error }));

test('send notification: to the web, everybody once; sent again it is the same notification', async () => {
  const docs = {
    template: template({
      WEB: { subject: '${recipientFirstName:capitalize}: ${room.t}', body: '${deviceName} ${k}', additionalConfig: { icon: 1 } },
    }),
    people,
  };
  const node = await external(sendNotification, { config: config(['people', 'gone']), world: { docs }, users: [ann, bob, ann] });
  const at = message({ data: '{"room":{"t":24.0},"k":9007199254740993}', metadata: { deviceName: 'D' } });
  const outcome = await node.send(at);
  await node.send(at);
  node.stop();
  const told = { sent: { WEB: 2 }, errors: {}, totalErrors: 0, error: null, totalSent: 2 };
  assert.deepEqual(outcome, { to: 'Success', metadata: { deviceName: 'D', notificationRequestResult: JSON.stringify(told) } });
  const [request, first, second, ...again] = node.saved;
  assert.deepEqual(
    again.map(({ id }) => id),
    [request!.id, first!.id, second!.id],
  );
  const info = { type: 'RULE_NODE', msgOriginator: at.originator, msgCustomerId: null, msgMetadata: at.metadata, msgType: at.type };
  assert.deepEqual(
    [request!.collection, request!.state, request!.body],
    [
      'NOTIFICATION_REQUEST',
      'SENT',
      {
        targets: ['people', 'gone'],
        templateId: { entityType: 'NOTIFICATION_TEMPLATE', id: 'template' },
        info,
        additionalConfig: null,
        originatorEntityId: { entityType: 'RULE_NODE', id: NODE.id },
        ruleId: null,
        status: 'SENT',
        stats: told,
      },
    ],
  );
  const body = {
    requestId: { entityType: 'NOTIFICATION_REQUEST', id: request!.id },
    type: 'RULE_NODE',
    deliveryMethod: 'WEB',
    text: 'D 9007199254740993',
    additionalConfig: { icon: 1 },
    info,
    status: 'SENT',
  };
  assert.deepEqual(
    [first, second].map((each) => each!.body),
    [
      { ...body, recipientId: { entityType: 'USER', id: 'ann' }, subject: 'Ann: 24.0' },
      { ...body, recipientId: { entityType: 'USER', id: 'bob' }, subject: ': 24.0' },
    ],
  );
});

test('send notification: what can not be delivered is counted, and the message takes Success', async () => {
  const docs = {
    template: template({
      EMAIL: { subject: 's', body: 'b' },
      SMS: { body: 'b' },
      SLACK: { body: 'b' },
      MICROSOFT_TEAMS: { body: 'b' },
      WEB: { enabled: false },
    }),
    people,
    channel,
  };
  const node = await external(sendNotification, { config: config(['people', 'channel']), world: { docs }, users: [ann, bob] });
  assert.deepEqual(result(await node.send(message())), {
    sent: {},
    errors: {
      EMAIL: { 'ann Lee': 'Mail settings are not configured', 'bob@plant.example': 'Mail settings are not configured' },
      SMS: { 'ann Lee': 'SMS settings are not configured', 'bob@plant.example': 'Phone number is missing' },
      SLACK: { '#ops': 'Notification settings are not configured' },
      MICROSOFT_TEAMS: {
        'ann Lee': 'Delivery method MICROSOFT_TEAMS is not supported',
        'bob@plant.example': 'Delivery method MICROSOFT_TEAMS is not supported',
      },
    },
    totalErrors: 7,
    error: null,
    totalSent: 0,
  });
  node.stop();
});

test('send notification: failures of the whole', async () => {
  const node = await external(sendNotification, { config: config(['people']), world: { docs: { people } }, users: [ann] });
  assert.deepEqual(await node.send(message()), { to: 'Failure', error: 'Template is missing' });
  assert.partialDeepStrictEqual(await node.send(message({ data: '{' })), { to: 'Failure' });
  assert.deepEqual(node.saved, []);
  node.stop();
});

test('send notification: e-mail by the settings of the system', async () => {
  const received: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('end', () => {
        received.push(
          `${session.envelope.rcptTo.map(({ address }) => address)} ${
            Buffer.concat(chunks)
              .toString()
              .match(/\r\n\r\n(.*)\r\n/)![1]
          }`,
        );
        callback();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  const docs = { template: template({ EMAIL: { subject: 's', body: '<b>${recipientTitle}</b>' } }), people };
  const settings = { mail: { mailFrom: 'me@plant.example', smtpHost: '127.0.0.1', smtpPort: String(port) } };
  const node = await external(sendNotification, { config: config(['people']), world: { docs, settings }, users: [ann, bob] });
  assert.deepEqual(result(await node.send(message())), { sent: { EMAIL: 2 }, errors: {}, totalErrors: 0, error: null, totalSent: 2 });
  node.stop();
  server.close(() => {});
  assert.deepEqual(received, ['ann@plant.example <b>ann Lee</b>', 'bob@plant.example <b>bob@plant.example</b>']);
});

test('send notification: Slack', async () => {
  const asked: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    asked.push([request.url, request.headers.authorization, body]);
    response.end(body.channel === 'C1' ? '{"ok":true}' : '{"ok":false,"error":"channel_not_found"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const delivery = openDelivery({ slackUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const by = {
    settings: { find: async () => ({ deliveryMethodsConfigs: { SLACK: { method: 'SLACK', botToken: 'xoxb-1' } } }) },
    signal: new AbortController().signal,
  };
  await delivery.slack('C1', 'hello', by);
  await assert.rejects(delivery.slack('C2', 'hello', by), { message: 'Failed to send message via Slack: channel_not_found' });
  delivery.stop();
  server.closeAllConnections();
  server.close();
  assert.deepEqual(asked[0], ['/chat.postMessage', 'Bearer xoxb-1', { channel: 'C1', text: 'hello' }]);
});
