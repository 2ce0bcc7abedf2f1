import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Connection } from 'rabbitmq-client';
import type { AnyNode } from '#engine/node.ts';
import kafka from '#rulechains/nodes/external/kafka.ts';
import rabbitmq from '#rulechains/nodes/external/rabbitmq.ts';
import sendEmail from '#rulechains/nodes/external/send-email.ts';
import sendSms from '#rulechains/nodes/external/send-sms.ts';
import { messageProperties, PROPERTIES } from '#rulechains/shared/rabbit.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { type RabbitServer, startRabbit } from '#test/support/rabbitmq.ts';
import { freePort, missing } from '#test/support/servers.ts';
import { start } from '#test/support/services.ts';

test('rabbitmq: names of properties', () => {
  assert.deepEqual([null, '', ...Object.keys(PROPERTIES)].map(messageProperties), [
    {},
    {},
    { contentType: 'application/octet-stream', durable: false, priority: 0 },
    { contentType: 'text/plain', durable: false, priority: 0 },
    {},
    { durable: true },
    { contentType: 'application/octet-stream', durable: true, priority: 0 },
    { contentType: 'text/plain', durable: true, priority: 0 },
  ]);
});

test('rabbitmq: null and missing keys read as Java reads them', async () => {
  const { config } = await start(rabbitmq, { exact: {} });
  assert.deepEqual(config, {
    exchangeNamePattern: null,
    routingKeyPattern: null,
    messageProperties: null,
    host: null,
    port: 0,
    virtualHost: null,
    username: null,
    password: null,
    automaticRecoveryEnabled: false,
    connectionTimeout: 0,
    handshakeTimeout: 0,
    clientProperties: null,
  });
});

test('rabbitmq: a server that is not there is waited for; an unknown name of properties, or data that is no JSON, is a failure', async () => {
  const port = await freePort();
  const [away] = await sendAll(rabbitmq, [message({ metadata: { a: 'b' } })], { config: { port, host: '127.0.0.1' } });
  assert.deepEqual(away, {
    to: 'Failure',
    error: `connect ECONNREFUSED 127.0.0.1:${port}`,
    away: true,
    metadata: { a: 'b', error: `class java.net.ConnectException: connect ECONNREFUSED 127.0.0.1:${port}` },
  });
  const unknown = "Message Properties: 'toString' is undefined!";
  assert.deepEqual(await sendAll(rabbitmq, [message(), message({ data: '' })], { config: { port, messageProperties: 'toString' } }), [
    { to: 'Failure', error: unknown, away: false, metadata: { error: `class java.lang.RuntimeException: ${unknown}` } },
    { to: 'Failure', error: 'Failed to process pattern!' },
  ]);
});

describe('rabbitmq: a real server', { skip: missing('rabbitmq') }, () => {
  let server: RabbitServer;
  before(async () => {
    server = await startRabbit();
    server.control('add_vhost', 'plant');
    server.control('set_permissions', '-p', 'plant', 'guest', '.*', '.*', '.*');
  });
  const readers: Connection[] = [];
  after(async () => {
    for (const reader of readers) reader.unsafeDestroy();
    await server?.close();
  });
  const openReader = () => {
    const reader = new Connection({ hostname: '127.0.0.1', port: server.port, vhost: 'plant' });
    reader.on('error', () => {});
    readers.push(reader);
    return reader;
  };

  const settings = () => ({ host: '127.0.0.1', port: server.port, virtualHost: 'plant', clientProperties: { site: 'north' } });

  test('exchange, routing key, properties, virtual host, client properties; one connection for all', async () => {
    const reader = openReader();
    await reader.exchangeDeclare({ exchange: 'ex', type: 'topic' });
    await reader.queueDeclare({ queue: 'q', durable: false });
    await reader.queueBind({ queue: 'q', exchange: 'ex', routingKey: 'up.*' });
    const config = { ...settings(), exchangeNamePattern: '${ex}', routingKeyPattern: 'up.$[n]', messageProperties: 'PERSISTENT_TEXT_PLAIN' };
    const node = await external(rabbitmq, { config });
    try {
      const outcomes = await Promise.all([1, 2].map((n) => node.send(message({ data: `{"n": ${n}}`, metadata: { ex: 'ex' } }))));
      assert.deepEqual(outcomes, ['Success', 'Success']);
      const found = [await reader.basicGet('q'), await reader.basicGet('q')];
      assert.deepEqual(
        found.map((each) => [each!.exchange, each!.routingKey, each!.contentType, each!.durable, each!.priority, String(each!.body)]),
        [1, 2].map((n) => ['ex', `up.${n}`, 'text/plain', true, 0, `{"n": ${n}}`]),
      );
      const clients = server.control('list_connections', 'vhost', 'client_properties');
      assert.equal(clients.match(/"site","north"/g)?.length, 1, clients);
    } finally {
      node.stop();
    }
  });

  test('the default exchange; an exchange that does not exist is a failure of its message alone', async () => {
    const reader = openReader();
    await reader.queueDeclare({ queue: 'direct', durable: false });
    const config = { ...settings(), exchangeNamePattern: '${ex}', routingKeyPattern: 'direct' };
    const messages = ['', 'none', ''].map((ex) => message({ data: '[1]', metadata: { ex } }));
    const [first, second, third] = (await sendAll(rabbitmq, messages, { config })) as [string, { to: string; away: boolean; error: string }, string];
    assert.deepEqual([first, second.to, second.away, third], ['Success', 'Failure', false, 'Success']);
    assert.match(second.error, /no exchange 'none'/);
    assert.equal(String((await reader.basicGet('direct'))?.body), '[1]');
  });

  test('a wrong password is waited for; a server that comes back is found by the same node', async () => {
    const [refused] = await sendAll(rabbitmq, [message()], { config: { ...settings(), password: 'wrong' } });
    assert.partialDeepStrictEqual(refused, { to: 'Failure', away: true });
    const node = await external(rabbitmq, { config: { ...settings(), handshakeTimeout: 300, routingKeyPattern: 'direct' } });
    try {
      assert.equal(await node.send(message()), 'Success');
      await server.kill();
      assert.partialDeepStrictEqual(await node.send(message()), { to: 'Failure', away: true });
      await server.start();
      const end = Date.now() + 30_000;
      let outcome = await node.send(message());
      while (outcome !== 'Success' && Date.now() < end) outcome = await node.send(message());
      assert.equal(outcome, 'Success');
    } finally {
      node.stop();
    }
  });
});

test('kafka, rabbitmq, send email, send sms: where nobody may connect to, nothing is sent', async () => {
  const host = '169.254.169.254';
  const smpp = { type: 'SMPP', host, systemId: 's' };
  for (const [node, config, at] of [
    [kafka, { bootstrapServers: `${host}:9092` }, message()],
    [rabbitmq, { host }, message()],
    [sendEmail, { useSystemSmtpSettings: false, smtpHost: host }, message({ type: 'SEND_EMAIL', data: { to: 'a@b.example' } })],
    [sendSms, { useSystemSmsSettings: false, smsProviderConfiguration: smpp, numbersToTemplate: '+15551', smsMessageTemplate: 'x' }, message()],
  ] as [AnyNode, object, ReturnType<typeof message>][]) {
    const [outcome] = (await sendAll(node, [at], { config: { ...config } })) as [{ to: string; error: string; away?: boolean }];
    assert.deepEqual([outcome.to, outcome.away ?? false], ['Failure', false], node.label);
    assert.match(outcome.error, /^Connecting to 169\.254\.169\.254 is refused/);
  }
});
