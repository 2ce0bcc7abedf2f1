import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Consumer, type Message as KafkaMessage } from '@platformatic/kafka';
import kafka from '#rulechains/nodes/external/kafka.ts';
import { encoder } from '#rulechains/shared/charsets.ts';
import { kafkaOptions } from '#rulechains/shared/kafka.ts';
import { external, sendAll } from '#test/support/external.ts';
import { type KafkaServer, startKafka } from '#test/support/kafka.ts';
import { message } from '#test/support/message.ts';
import { freePort, missing } from '#test/support/servers.ts';
import { start } from '#test/support/services.ts';

const settings = { bootstrapServers: 'a:1', retries: 0, acks: '-1', otherProperties: {} };

for (const { name, config, error } of [
  { name: 'no servers', config: { bootstrapServers: null }, error: 'No resolvable bootstrap urls given in bootstrap.servers' },
  { name: 'a server without a port', config: { bootstrapServers: 'a:1,b' }, error: 'Invalid url in bootstrap.servers: b' },
  { name: 'acks', config: { acks: '2' }, error: 'Invalid value 2 for configuration acks: String must be one of: all, -1, 0, 1' },
  { name: 'acks null', config: { acks: null }, error: 'Invalid value null for configuration acks: String must be one of: all, -1, 0, 1' },
  { name: 'retries', config: { retries: -1 }, error: 'Invalid value -1 for configuration retries: Value must be at least 0' },
  {
    name: 'idempotence without retries',
    config: { otherProperties: { 'enable.idempotence': 'true' } },
    error: 'Must set retries to non-zero when using the idempotent producer.',
  },
  {
    name: 'idempotence with the acknowledgement of the leader',
    config: { retries: 1, acks: '1', otherProperties: { 'enable.idempotence': 'true' } },
    error: 'Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.',
  },
  {
    name: 'protocol',
    config: { otherProperties: { 'security.protocol': 'TLS' } },
    error: 'Invalid value TLS for configuration security.protocol: String must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL',
  },
  {
    name: 'SASL without a login',
    config: { otherProperties: { 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'PLAIN' } },
    error: "Could not find a 'KafkaClient' entry in the JAAS configuration: sasl.jaas.config is not set",
  },
  {
    name: "a key store in Java's own format",
    config: { otherProperties: { 'security.protocol': 'SSL', 'ssl.truststore.location': '/x.jks' } },
    error: 'Key stores of type JKS are not supported: set ssl.truststore.type=PEM',
  },
  { name: 'a character set', config: { kafkaHeadersCharset: 'EBCDIC' }, error: /^Charset is not supported: EBCDIC/ },
] as { name: string; config: Record<string, unknown>; error: string | RegExp }[])
  test(`kafka does not start: ${name}`, async () => {
    await assert.rejects(start(kafka, { config }), typeof error === 'string' ? { message: error } : { message: error });
  });

test('kafka: null and missing keys read as Java reads them', async () => {
  const { config } = await start(kafka, { exact: { bootstrapServers: 'a:1', acks: 'all' } });
  assert.deepEqual(config, {
    topicPattern: null,
    keyPattern: null,
    bootstrapServers: 'a:1',
    retries: 0,
    batchSize: 0,
    linger: 0,
    bufferMemory: 0,
    acks: 'all',
    otherProperties: null,
    addMetadataKeyValuesAsKafkaHeaders: false,
    kafkaHeadersCharset: null,
  });
});

test('kafka: an old file loses what it does not need', () => {
  assert.deepEqual(kafka.upgrades![0]!({ topicPattern: 't', keySerializer: 'k', valueSerializer: 'v' }), { topicPattern: 't' });
});

test('kafka: security in properties', () => {
  const { tls, sasl } = kafkaOptions(
    {
      ...settings,
      otherProperties: {
        'security.protocol': 'sasl_ssl',
        'sasl.mechanism': 'SCRAM-SHA-512',
        'sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required username="me" password="a \\"b\\";c";',
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.certificates': '-----BEGIN CERTIFICATE-----\\nAA\\n-----END CERTIFICATE-----',
        'ssl.keystore.certificate.chain': 'CHAIN\\n',
        'ssl.keystore.key': 'KEY\\n',
        'ssl.key.password': 'p',
      },
    },
    'id',
  );
  assert.deepEqual(sasl, { mechanism: 'SCRAM-SHA-512', username: 'me', password: 'a "b";c' });
  assert.deepEqual(tls, { ca: '-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----', cert: 'CHAIN\n', key: 'KEY\n', passphrase: 'p' });
});

for (const { charset, bytes } of [
  { charset: 'UTF-8', bytes: 'c3a9e282ac' },
  { charset: 'iso-8859-1', bytes: 'e93f' },
  { charset: 'US-ASCII', bytes: '3f3f' },
  { charset: 'UTF-16', bytes: 'feff00e920ac' },
  { charset: 'UTF-16LE', bytes: 'e900ac20' },
  { charset: 'UTF-16BE', bytes: '00e920ac' },
])
  test(`kafka: headers in ${charset}`, () => assert.equal(encoder(charset)('é€').toString('hex'), bytes));

test('kafka: a broker that is not there is waited for, data that is no JSON fails at once', async () => {
  const config = { bootstrapServers: `127.0.0.1:${await freePort()}` };
  const [away, broken] = (await sendAll(kafka, [message({ metadata: { a: 'b' } }), message({ data: '{' })], { config })) as Record<string, unknown>[];
  assert.deepEqual([away!['to'], away!['away']], ['Failure', true]);
  assert.match(String((away!['metadata'] as Record<string, string>)['error']), /^class NetworkError: /);
  assert.deepEqual(broken, { to: 'Failure', error: 'Failed to process pattern!' });
});

describe('kafka: a real broker', { skip: missing('kafka') }, () => {
  let server: KafkaServer;
  before(async () => {
    server = await startKafka({
      protocol: 'SASL_PLAINTEXT',
      conf: [
        'num.partitions=2',
        'sasl.enabled.mechanisms=PLAIN',
        'sasl.mechanism.inter.broker.protocol=PLAIN',
        'listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ' +
          'username="admin" password="secret" user_admin="secret" user_me="mine";',
      ],
    });
  });
  after(() => server?.close());

  const login = (password = 'mine') => ({
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'PLAIN',
    'sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required username="me" password="${password}";`,
  });

  async function read(topic: string, count: number): Promise<KafkaMessage<string, string, string, string>[]> {
    const consumer = new Consumer({
      groupId: `g-${topic}`,
      clientId: 'reader',
      bootstrapBrokers: [server.bootstrap],
      sasl: { mechanism: 'PLAIN', username: 'me', password: 'mine' },
      deserializers: {
        key: (b) => String(b),
        value: (b) => String(b),
        headerKey: (b) => String(b),
        headerValue: (b) => Buffer.from(b ?? []).toString('latin1'),
      },
    });
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 100 });
    const found: KafkaMessage<string, string, string, string>[] = [];
    for await (const each of stream) {
      found.push(each);
      if (found.length === count) break;
    }
    await consumer.close(true);
    return found;
  }

  test('key, headers, what it says of the message', async () => {
    const config = {
      bootstrapServers: server.bootstrap,
      topicPattern: 'plant-${site}',
      keyPattern: '$[id]',
      addMetadataKeyValuesAsKafkaHeaders: true,
      kafkaHeadersCharset: 'ISO-8859-1',
      otherProperties: login(),
    };
    const messages = [1, 2].map((n) => message({ data: `{"id": "k",  "n": ${n}}`, metadata: { site: 'a', name: 'é' } }));
    const outcomes = (await sendAll(kafka, messages, { config })) as { to: string; metadata: Record<string, string> }[];
    const partition = outcomes[0]!.metadata['partition']!;
    assert.match(partition, /^[01]$/);
    assert.deepEqual(
      outcomes,
      ['0', '1'].map((offset) => ({ to: 'Success', metadata: { site: 'a', name: 'é', offset, partition, topic: 'plant-a' } })),
    );
    const found = await read('plant-a', 2);
    assert.deepEqual(
      found.map(({ key, value, headers }) => ({ key, value, headers: Object.fromEntries(headers) })),
      [1, 2].map((n) => ({ key: 'k', value: `{"id": "k",  "n": ${n}}`, headers: { tb_msg_md_site: 'a', tb_msg_md_name: 'é' } })),
    );
  });

  test('no key, no headers, idempotent, several at a time', async () => {
    const config = {
      bootstrapServers: server.bootstrap,
      topicPattern: 'plain',
      keyPattern: '',
      retries: 3,
      otherProperties: { ...login(), 'enable.idempotence': 'true', 'compression.type': 'gzip' },
    };
    const outcomes = await sendAll(kafka, [message({ data: '5' }), message({ data: '[1]' }), message({ data: '"x"' })], { config });
    assert.deepEqual(
      outcomes.map((outcome) => (outcome as { to: string }).to),
      ['Success', 'Success', 'Success'],
    );
    const found = await read('plain', 3);
    assert.deepEqual(found.map(({ value }) => value).sort(), ['"x"', '5', '[1]']);
    assert.deepEqual(new Set(found.map(({ key, headers }) => `${key} ${headers.size}`)), new Set(['undefined 0']));
  });

  test('acks 0: nothing is known of the message', async () => {
    const config = { bootstrapServers: server.bootstrap, topicPattern: 'quick', acks: '0', otherProperties: login() };
    assert.deepEqual(await sendAll(kafka, [message()], { config }), [{ to: 'Success', metadata: { offset: '-1', topic: 'quick' } }]);
  });

  test('a topic that can not be is a failure of the message; a wrong password one of the target', async () => {
    const config = { bootstrapServers: server.bootstrap, topicPattern: '${t}', otherProperties: login() };
    const [bad] = await sendAll(kafka, [message({ metadata: { t: 'no/topic' } })], { config });
    assert.deepEqual([(bad as { to: string; away: boolean }).to, (bad as { away: boolean }).away], ['Failure', false]);
    const [refused] = await sendAll(kafka, [message()], { config: { ...config, topicPattern: 't', otherProperties: login('wrong') } });
    assert.deepEqual([(refused as { to: string }).to, (refused as { away: boolean }).away], ['Failure', true]);
  });

  test('a broker that comes back is found by the same node', async () => {
    const config = { bootstrapServers: server.bootstrap, topicPattern: 'again', otherProperties: login() };
    const node = await external(kafka, { config });
    try {
      assert.partialDeepStrictEqual(await node.send(message()), { to: 'Success' });
      await server.kill();
      assert.equal(((await node.send(message())) as { away: boolean }).away, true);
      await server.start();
      const end = Date.now() + 20_000;
      let outcome = (await node.send(message())) as { to: string };
      while (outcome.to !== 'Success' && Date.now() < end) outcome = (await node.send(message())) as { to: string };
      assert.equal(outcome.to, 'Success');
    } finally {
      node.stop();
    }
  });
});
