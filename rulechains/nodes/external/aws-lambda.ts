import type { LambdaClient } from '@aws-sdk/client-lambda';
import { Type } from 'typebox';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { awsOptions, isAwsAway } from '../../shared/aws.ts';
import { delivered, undelivered } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';

const MANDATORY = ['accessKey', 'secretKey', 'region', 'functionName'] as const;
/** Of this node the connection is made anew at most once a call, so this is all that comes on top of the two limits. */
const SPARE_MS = 5000;

export default defineNode({
  type: 'org.thingsboard.rule.engine.aws.lambda.TbAwsLambdaNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'aws lambda',
  summary: 'Calls a function of AWS Lambda with the message data; its answer becomes the data.',
  relations: ['Success'],
  effect: true,
  config: Config({
    accessKey: nullable(Type.String(), { title: 'Access key id', description: 'Of a user who may call the function.' }),
    secretKey: nullable(Type.String(), {
      title: 'Secret access key',
      description: 'Kept in the chain, and in what is exported of it.',
      secret: true,
    }),
    region: nullable(Type.String(), { title: 'Region', description: 'Of the function.', examples: ['us-east-1'] }),
    functionName: nullable(Type.String(), { title: 'Function', description: 'Name or ARN; a pattern.' }),
    qualifier: nullable(Type.String(), { title: 'Qualifier', description: 'Version or alias; a pattern. Empty: the newest.' }),
    connectionTimeout: Type.Integer({ title: 'Connect timeout', description: '0: the default.', unit: 's', advanced: true }),
    requestTimeout: Type.Integer({ title: 'Request timeout', description: 'How long the function may run. 0: the default.', unit: 's' }),
    tellFailureIfFuncThrowsExc: Type.Boolean({
      title: 'Fail when the function throws',
      description: 'Else what it says of its error is the data, and the message takes Success.',
    }),
  }),
  defaults: {
    accessKey: null,
    secretKey: null,
    region: 'us-east-1',
    functionName: null,
    qualifier: '$LATEST',
    connectionTimeout: 10,
    requestTimeout: 5,
    tellFailureIfFuncThrowsExc: false,
  },
  start({ config, node }): Connection<LambdaClient> {
    const blank = MANDATORY.filter((key) => !config[key]?.trim());
    if (blank.length > 0)
      throw new Error(`'${node.name}' node configuration is invalid: ${blank.map((key) => `${key} must not be blank`).join(', ')}`);
    const requestHandler = {
      ...(config.connectionTimeout > 0 && { connectionTimeout: config.connectionTimeout * 1000 }),
      // Without the second one the first only warns.
      ...(config.requestTimeout > 0 && { requestTimeout: config.requestTimeout * 1000, throwOnRequestTimeout: true }),
    };
    const options = { ...awsOptions(config), maxAttempts: 1, requestHandler };
    return connection(
      async () => new (await import('@aws-sdk/client-lambda')).LambdaClient(options),
      (client) => client.destroy(),
    );
  },
  stop: (client) => client.stop(),
  target: (message, config) => fillPattern(config.functionName ?? '', message),
  sendTimeoutMs: ({ connectionTimeout, requestTimeout }) =>
    (connectionTimeout > 0 ? connectionTimeout : 60) * 1000 + (requestTimeout > 0 ? requestTimeout : 900) * 1000 + SPARE_MS,
  async send(message, { config, state, signal }) {
    const FunctionName = fillPattern(config.functionName!, message);
    const Qualifier = fillPattern(config.qualifier || '$LATEST', message);
    try {
      const { InvokeCommand } = await import('@aws-sdk/client-lambda');
      const client = await state.use(signal);
      const command = new InvokeCommand({ FunctionName, Qualifier, InvocationType: 'RequestResponse', Payload: Buffer.from(message.data) });
      const { Payload, FunctionError, $metadata } = await client.send(command, { abortSignal: signal });
      const data = Buffer.from(Payload ?? []).toString();
      if (FunctionError && config.tellFailureIfFuncThrowsExc) return undelivered(message, new Error(data), false);
      return delivered(withChanges(message, { data }), { requestId: $metadata.requestId });
    } catch (cause) {
      return undelivered(message, cause, isAwsAway(cause));
    }
  },
  preview: (message, config) => ({
    function: fillPattern(config.functionName ?? '', message),
    qualifier: fillPattern(config.qualifier || '$LATEST', message),
    payload: message.data,
  }),
});
