import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { delivered, undelivered, unlessAborted } from '../../shared/broker.ts';
import { CHARSET_NAMES, encoder } from '../../shared/charsets.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';
import { isIdempotent, isKafkaAway, type KafkaProducer, kafkaCause, kafkaOptions, openProducer } from '../../shared/kafka.ts';

const HEADER_PREFIX = 'tb_msg_md_';

interface State {
  readonly producer: Connection<KafkaProducer>;
  readonly acks: number;
  readonly encode: (text: string) => Buffer;
}

export default defineNode({
  type: 'org.thingsboard.rule.engine.kafka.TbKafkaNode',
  version: 1,
  family: 'EXTERNAL',
  label: 'kafka',
  summary: 'Writes the message data to a topic of Kafka.',
  relations: ['Success'],
  effect: true,
  config: Config({
    topicPattern: nullable(Type.String(), { title: 'Topic', description: 'Pattern.', examples: ['my-topic'] }),
    keyPattern: nullable(Type.String(), { title: 'Key', description: 'Pattern; messages of one key keep their order. Empty: no key.' }),
    bootstrapServers: nullable(Type.String(), { title: 'Bootstrap servers', description: 'host:port, several with commas between them.' }),
    retries: Type.Integer({ title: 'Retries', description: 'Of a request, before it counts as failed.' }),
    batchSize: Type.Integer({
      title: 'Batch size',
      description: 'Kept for old files: what is ready is sent at once.',
      unit: 'bytes',
      advanced: true,
    }),
    linger: Type.Integer({ title: 'Linger', description: 'Kept for old files: what is ready is sent at once.', unit: 'ms', advanced: true }),
    bufferMemory: Type.Integer({ title: 'Buffer', description: 'Kept for old files: the outbox is on disk.', unit: 'bytes', advanced: true }),
    acks: nullable(Type.String(), { title: 'Acknowledgements', description: '-1 or all: of all replicas; 1: of the leader; 0: of none.' }),
    otherProperties: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
      title: 'Other properties',
      description:
        "Of Kafka's own producer: security.protocol, sasl.mechanism, sasl.jaas.config, ssl.truststore.certificates, ssl.keystore.certificate.chain, " +
        'ssl.keystore.key, ssl.key.password (PEM), ssl.endpoint.identification.algorithm, enable.idempotence, compression.type, client.id, ' +
        'request.timeout.ms, retry.backoff.ms. Others have no meaning here.',
      secret: true,
    }),
    addMetadataKeyValuesAsKafkaHeaders: Type.Boolean({ title: 'Metadata as headers', description: `Each key as ${HEADER_PREFIX}KEY.` }),
    kafkaHeadersCharset: nullable(Type.String(), { title: 'Character set of headers', description: 'Default UTF-8.', examples: CHARSET_NAMES }),
  }),
  defaults: {
    topicPattern: 'my-topic',
    keyPattern: null,
    bootstrapServers: 'localhost:9092',
    retries: 0,
    batchSize: 16384,
    linger: 0,
    bufferMemory: 33554432,
    acks: '-1',
    otherProperties: {},
    addMetadataKeyValuesAsKafkaHeaders: false,
    kafkaHeadersCharset: 'UTF-8',
  },
  upgrades: [({ keySerializer, valueSerializer, ...config }) => config],
  start({ config, node }): State {
    const options = kafkaOptions(config, `producer-tb-rule-node-${node.id}`);
    return {
      acks: options.acks!,
      producer: connection(
        () => openProducer(options),
        (producer) => producer.close(),
      ),
      encode: encoder(config.kafkaHeadersCharset ?? 'UTF-8'),
    };
  },
  stop: ({ producer }) => producer.stop(),
  target: (message, config) => fillPattern(config.topicPattern ?? '', message),
  // The client numbers the messages of an idempotent producer when they go out: one after the other.
  parallel: (config) => (isIdempotent(config) ? 1 : 64),
  async send(message, { config, state, signal }) {
    const topic = fillPattern(config.topicPattern ?? '', message);
    const key = config.keyPattern ? fillPattern(config.keyPattern, message) : null;
    const producer = await state.producer.use(signal);
    const headers = config.addMetadataKeyValuesAsKafkaHeaders
      ? new Map(Object.entries(message.metadata).map(([name, value]) => [Buffer.from(HEADER_PREFIX + name), state.encode(value)]))
      : null;
    try {
      // The client takes the acknowledgements that are wanted from the call, not from its own options.
      const record = { topic, value: Buffer.from(message.data), ...(key !== null && { key: Buffer.from(key) }), ...(headers && { headers }) };
      const { offsets = [] } = await unlessAborted(producer.send({ messages: [record], acks: state.acks, autocreateTopics: true }), signal);
      const at = offsets[0];
      return delivered(message, { offset: String(at?.offset ?? -1n), partition: at && String(at.partition), topic });
    } catch (cause) {
      const away = isKafkaAway(cause);
      // A producer that lost its broker, or the count of its messages, is of no use any more.
      if (away || isIdempotent(config)) state.producer.lost(producer);
      return undelivered(message, kafkaCause(cause), away);
    }
  },
  preview: (message, config) => ({
    topic: fillPattern(config.topicPattern ?? '', message),
    key: config.keyPattern ? fillPattern(config.keyPattern, message) : null,
    payload: message.data,
  }),
});
