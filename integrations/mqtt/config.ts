import { type Static, Type } from 'typebox';
import { Config } from '#engine/schema.ts';
import { Anonymous, Basic, Certificates, filterProblems, TopicFilters } from '../shared/mqtt-config.ts';

const ClientConfiguration = Config(
  {
    host: Type.String({
      title: 'Host',
      description: 'Name or address of the broker.',
      minLength: 1,
      maxLength: 255,
      examples: ['broker.example.org'],
    }),
    port: Type.Integer({ title: 'Port', description: '1883, with TLS usually 8883.', minimum: 1, maximum: 65_535, default: 1883 }),
    cleanSession: Type.Boolean({ title: 'Clean session', description: 'On: the broker keeps nothing for us while we are away.', default: false }),
    retainedMessage: Type.Boolean({ title: 'Retain downlinks', description: 'The broker keeps the last one of each topic.', default: false }),
    ssl: Type.Boolean({ title: 'TLS', description: 'Encrypts, and checks the broker’s certificate.', default: false }),
    connectTimeoutSec: Type.Integer({ title: 'Connect timeout', description: 'Then we back off.', minimum: 1, maximum: 200, default: 10, unit: 's' }),
    clientId: Type.String({
      title: 'Client id',
      description: 'Keep it stable: the broker holds the session under it. Empty: made from the integration’s id.',
      maxLength: 65_535,
      default: '',
    }),
    maxBytesInMessage: Type.Integer({
      title: 'Largest message',
      description: 'A larger one becomes a dead letter unconverted.',
      minimum: 1,
      maximum: 256_000_000,
      default: 32_368,
      unit: 'bytes',
      advanced: true,
    }),
    protocolVersion: Type.Enum(['MQTT_3_1', 'MQTT_3_1_1', 'MQTT_5'], {
      title: 'Protocol',
      description: 'What the broker speaks.',
      default: 'MQTT_3_1_1',
      advanced: true,
    }),
    credentials: Type.Union([Anonymous, Basic, Certificates], {
      title: 'Credentials',
      description: 'How the broker knows us.',
      default: { type: 'anonymous' },
    }),
  },
  { unknownKeys: 'keep' },
);

export const MqttConfig = Config(
  {
    clientConfiguration: ClientConfiguration,
    topicFilters: TopicFilters,
    downlinkTopicPattern: Type.String({
      title: 'Downlink topic',
      description: '${key} is filled from the downlink converter’s metadata.',
      minLength: 1,
      default: '${topic}',
      control: 'topic',
    }),
  },
  { unknownKeys: 'keep', check: (config: MqttConfig) => filterProblems(config.topicFilters) },
);
export type MqttConfig = {
  clientConfiguration: Static<typeof ClientConfiguration>;
  topicFilters: Static<typeof TopicFilters>;
  downlinkTopicPattern: string;
};
