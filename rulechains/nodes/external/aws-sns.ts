import type { SNSClient } from '@aws-sdk/client-sns';
import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { awsOptions, isAwsAway } from '../../shared/aws.ts';
import { delivered, undelivered } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.aws.sns.TbSnsNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'aws sns',
  summary: 'Publishes the message data to a topic of AWS SNS.',
  relations: ['Success'],
  effect: true,
  config: Config({
    topicArnPattern: nullable(Type.String(), { title: 'Topic ARN', description: 'Pattern.' }),
    accessKeyId: nullable(Type.String(), { title: 'Access key id', description: 'Of a user who may publish.' }),
    secretAccessKey: nullable(Type.String(), {
      title: 'Secret access key',
      description: 'Kept in the chain, and in what is exported of it.',
      secret: true,
    }),
    region: nullable(Type.String(), { title: 'Region', description: 'Of the topic.', examples: ['us-east-1'] }),
  }),
  defaults: {
    topicArnPattern: 'arn:aws:sns:us-east-1:123456789012:MyNewTopic',
    accessKeyId: null,
    secretAccessKey: null,
    region: 'us-east-1',
  },
  start({ config }): Connection<SNSClient> {
    const options = awsOptions({ accessKey: config.accessKeyId, secretKey: config.secretAccessKey, region: config.region });
    return connection(
      async () => new (await import('@aws-sdk/client-sns')).SNSClient(options),
      (client) => client.destroy(),
    );
  },
  stop: (client) => client.stop(),
  target: (message, config) => fillPattern(config.topicArnPattern ?? '', message),
  async send(message, { config, state, signal }) {
    const TopicArn = fillPattern(config.topicArnPattern ?? '', message);
    try {
      const { PublishCommand } = await import('@aws-sdk/client-sns');
      const client = await state.use(signal);
      const { MessageId, $metadata } = await client.send(new PublishCommand({ TopicArn, Message: message.data }), { abortSignal: signal });
      return delivered(message, { messageId: MessageId, requestId: $metadata.requestId });
    } catch (cause) {
      return undelivered(message, cause, isAwsAway(cause));
    }
  },
  preview: (message, config) => ({ topicArn: fillPattern(config.topicArnPattern ?? '', message), payload: message.data }),
});
