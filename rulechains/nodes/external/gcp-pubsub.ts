import type { PubSub } from '@google-cloud/pubsub';
import { type Static, Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { chainOf, delivered, isNetworkFault, undelivered, unlessAborted } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';

/** Of one call, its own repetitions included; the outbox tries again after that. */
const CALL_TIMEOUT_MS = 20_000;

const PubSubConfig = Config({
  projectId: nullable(Type.String(), { title: 'Project', description: 'Id of the project in Google Cloud.' }),
  topicName: nullable(Type.String(), { title: 'Topic', description: 'Its name, without the project.' }),
  messageAttributes: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
    title: 'Attributes',
    description: 'Name → value, both patterns.',
  }),
  serviceAccountKey: nullable(Type.String(), { title: 'Service account key', description: 'The JSON text of the key file.', secret: true }),
  serviceAccountKeyFileName: nullable(Type.String(), { title: 'Key file', description: 'The name it had; for the form alone.', advanced: true }),
});

export default defineNode({
  type: 'org.thingsboard.rule.engine.gcp.pubsub.TbPubSubNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'gcp pubsub',
  summary: 'Publishes the message data to a topic of Google Cloud Pub/Sub.',
  relations: ['Success'],
  effect: true,
  config: PubSubConfig,
  defaults: {
    projectId: 'my-google-cloud-project-id',
    topicName: 'my-pubsub-topic-name',
    messageAttributes: {},
    serviceAccountKey: null,
    serviceAccountKeyFileName: null,
  },
  start({ config }): Connection<PubSub> {
    const { projectId } = config;
    if (!projectId || !config.topicName) throw new Error('Project and topic must be set!');
    const credentials = keyOf(config.serviceAccountKey);
    return connection(
      async () => new (await import('@google-cloud/pubsub')).PubSub({ projectId, credentials }),
      (client) => client.close(),
    );
  },
  stop: (client) => client.stop(),
  async send(message, { config, state, signal }) {
    const attributes = attributesOf(message, config);
    try {
      const client = await state.use(signal);
      const topic = client.topic(config.topicName!, { batching: { maxMessages: 1 }, gaxOpts: { timeout: CALL_TIMEOUT_MS, maxRetries: 0 } });
      const messageId = await unlessAborted(topic.publishMessage({ data: Buffer.from(message.data), attributes }), signal);
      return delivered(message, { messageId });
    } catch (cause) {
      return undelivered(message, cause, isAway(cause));
    }
  },
  preview: (message, config) => ({ topic: config.topicName, attributes: attributesOf(message, config), payload: message.data }),
});

function attributesOf(message: Message, config: Static<typeof PubSubConfig>): Record<string, string> {
  const entries = Object.entries(config.messageAttributes ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [fillPattern(name, message), fillPattern(value ?? '', message)]));
}

/** @throws Error when it is no key: the node does not start. */
function keyOf(text: string | null): { client_email: string; private_key: string } {
  let key: unknown;
  try {
    key = JSON.parse(text ?? '');
  } catch (cause) {
    throw new Error('Service account key is not a valid JSON!', { cause });
  }
  const { client_email, private_key } = (key ?? {}) as Record<string, unknown>;
  if (typeof client_email !== 'string' || typeof private_key !== 'string') throw new Error('Service account key has no client_email or private_key!');
  return { client_email, private_key };
}

/** gRPC: DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED. */
const AWAY = new Set([4, 7, 8, 10, 13, 14, 16]);

const isAway = (cause: unknown): boolean =>
  isNetworkFault(cause) || [...chainOf(cause)].some((each) => AWAY.has((each as { code?: number }).code ?? -1));
