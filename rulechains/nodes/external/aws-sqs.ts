import type { SendMessageCommandInput, SQSClient } from '@aws-sdk/client-sqs';
import { type Static, Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { awsOptions, isAwsAway } from '../../shared/aws.ts';
import { delivered, undelivered } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';

const SqsConfig = Config({
  queueType: nullable(Type.Enum(['STANDARD', 'FIFO']), {
    title: 'Queue type',
    description: 'FIFO: one group an originator, and a message that is sent twice is taken once.',
  }),
  queueUrlPattern: nullable(Type.String(), { title: 'Queue URL', description: 'Pattern.' }),
  delaySeconds: Type.Integer({ title: 'Delay', description: 'Of a standard queue: when the message may be read.', unit: 's' }),
  messageAttributes: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
    title: 'Attributes',
    description: 'Name → value, both patterns.',
  }),
  accessKeyId: nullable(Type.String(), { title: 'Access key id', description: 'Of a user who may send.' }),
  secretAccessKey: nullable(Type.String(), {
    title: 'Secret access key',
    description: 'Kept in the chain, and in what is exported of it.',
    secret: true,
  }),
  region: nullable(Type.String(), { title: 'Region', description: 'Of the queue.', examples: ['us-east-1'] }),
});

export default defineNode({
  type: 'org.thingsboard.rule.engine.aws.sqs.TbSqsNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'aws sqs',
  summary: 'Sends the message data to a queue of AWS SQS.',
  relations: ['Success'],
  effect: true,
  config: SqsConfig,
  defaults: {
    queueType: 'STANDARD',
    queueUrlPattern: 'https://sqs.us-east-1.amazonaws.com/123456789012/my-queue-name',
    delaySeconds: 0,
    messageAttributes: {},
    accessKeyId: null,
    secretAccessKey: null,
    region: 'us-east-1',
  },
  start({ config }): Connection<SQSClient> {
    const options = awsOptions({ accessKey: config.accessKeyId, secretKey: config.secretAccessKey, region: config.region });
    return connection(
      async () => new (await import('@aws-sdk/client-sqs')).SQSClient(options),
      (client) => client.destroy(),
    );
  },
  stop: (client) => client.stop(),
  target: (message, config) => fillPattern(config.queueUrlPattern ?? '', message),
  async send(message, { config, state, signal }) {
    const input = request(message, config);
    try {
      const { SendMessageCommand } = await import('@aws-sdk/client-sqs');
      const client = await state.use(signal);
      const sent = await client.send(new SendMessageCommand(input), { abortSignal: signal });
      return delivered(message, {
        messageId: sent.MessageId,
        requestId: sent.$metadata.requestId,
        messageBodyMd5: sent.MD5OfMessageBody,
        messageAttributesMd5: sent.MD5OfMessageAttributes,
        sequenceNumber: sent.SequenceNumber,
      });
    } catch (cause) {
      return undelivered(message, cause, isAwsAway(cause));
    }
  },
  preview: (message, config) => ({ ...request(message, config) }),
});

function request(message: Message, config: Static<typeof SqsConfig>): SendMessageCommandInput {
  const attributes = Object.entries(config.messageAttributes ?? {}).map(([name, value]) => [
    fillPattern(name, message),
    { DataType: 'String', StringValue: fillPattern(value ?? '', message) },
  ]);
  return {
    QueueUrl: fillPattern(config.queueUrlPattern ?? '', message),
    MessageBody: message.data,
    ...(attributes.length > 0 && { MessageAttributes: Object.fromEntries(attributes) }),
    ...(config.queueType === 'FIFO'
      ? { MessageDeduplicationId: message.id, MessageGroupId: message.originator.id }
      : { DelaySeconds: config.delaySeconds }),
  };
}
