import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CreateFunctionCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { AnyNode } from '#engine/node.ts';
import lambda from '#rulechains/nodes/external/aws-lambda.ts';
import sns from '#rulechains/nodes/external/aws-sns.ts';
import sqs from '#rulechains/nodes/external/aws-sqs.ts';
import { type AwsServer, startAws } from '#test/support/cloud.ts';
import { sendAll } from '#test/support/external.ts';
import { DEVICE, message } from '#test/support/message.ts';
import { freePort, missing } from '#test/support/servers.ts';
import { start } from '#test/support/services.ts';

const KEYS = { accessKeyId: 'AKIA1', secretAccessKey: 'secret' };
const LAMBDA = { accessKey: 'AKIA1', secretKey: 'secret', functionName: 'fn-${site}' };
const md5 = (text: string) => createHash('md5').update(text).digest('hex');

for (const { node, config, error } of [
  { node: sns, config: {}, error: 'Access key cannot be null.' },
  { node: sqs, config: { accessKeyId: 'a' }, error: 'Secret key cannot be null.' },
  { node: sqs, config: { ...KEYS, region: null }, error: 'Region must be set!' },
  { node: lambda, config: LAMBDA, exact: true, error: null },
  {
    node: lambda,
    config: { accessKey: ' ', secretKey: 's' },
    error: "'node under test' node configuration is invalid: accessKey must not be blank, functionName must not be blank",
  },
] as { node: AnyNode; config: Record<string, unknown>; error: string | null }[])
  test(`${node.label}: ${error ?? 'starts'}`, async () => {
    if (error === null) await start(node, { config });
    else await assert.rejects(start(node, { config }), { message: error });
  });

for (const node of [sns, sqs, lambda] as AnyNode[])
  test(`${node.label}: a server that is not there is waited for; data that is no JSON is a failure`, async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const config = { ...(node === lambda ? LAMBDA : KEYS), ...(node === sqs && { queueUrlPattern: `${url}/1/q` }) };
    await withEndpoint(url, async () => {
      const [away, broken] = (await sendAll(node, [message({ metadata: { site: 'a' } }), message({ data: '{' })], { config })) as [Failed, Failed];
      assert.equal(away.away, true);
      assert.match(away.metadata['error']!, /^class .*ECONNREFUSED/);
      assert.deepEqual(broken, { to: 'Failure', error: 'Failed to process pattern!' });
    });
  });

interface Failed {
  readonly to: string;
  readonly data?: string;
  readonly error: string;
  readonly away: boolean;
  readonly metadata: Record<string, string>;
}

async function withEndpoint(url: string, run: () => Promise<void>): Promise<void> {
  process.env['AWS_ENDPOINT_URL'] = url;
  try {
    await run();
  } finally {
    delete process.env['AWS_ENDPOINT_URL'];
  }
}

/** Lambda's HTTP interface for one test. */
async function withLambda(answer: RequestListener, run: () => Promise<void>): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await withEndpoint(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, run);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('aws lambda: what the function says of its error', async () => {
  const payload = '{"errorMessage":"boom","errorType":"Error"}';
  const headers = { 'x-amz-function-error': 'Unhandled', 'x-amzn-requestid': 'r1' };
  await withLambda(
    (_, response) => response.writeHead(200, headers).end(payload),
    async () => {
      const messages = [message({ metadata: { site: 'a' } })];
      assert.deepEqual(await sendAll(lambda, messages, { config: LAMBDA }), [
        { to: 'Success', data: payload, metadata: { site: 'a', requestId: 'r1' } },
      ]);
      assert.deepEqual(await sendAll(lambda, messages, { config: { ...LAMBDA, tellFailureIfFuncThrowsExc: true } }), [
        { to: 'Failure', error: payload, away: false, metadata: { site: 'a', error: `class java.lang.RuntimeException: ${payload}` } },
      ]);
    },
  );
});

for (const { name, status, type, away } of [
  { name: 'no such function', status: 404, type: 'ResourceNotFoundException', away: false },
  { name: 'too large', status: 413, type: 'RequestTooLargeException', away: false },
  { name: 'too many at a time', status: 429, type: 'TooManyRequestsException', away: true },
  { name: 'keys that are not taken', status: 403, type: 'UnrecognizedClientException', away: true },
  { name: 'a fault of the service', status: 500, type: 'ServiceException', away: true },
])
  test(`aws lambda: ${name}`, () =>
    withLambda(
      (_, response) => response.writeHead(status, { 'x-amzn-errortype': type }).end('{"message":"no"}'),
      async () =>
        assert.deepEqual(await sendAll(lambda, [message()], { config: LAMBDA }), [
          { to: 'Failure', error: 'no', away, metadata: { error: `class ${type}: no` } },
        ]),
    ));

test('aws lambda: a function that takes too long', () =>
  withLambda(
    () => {},
    async () => {
      const [late] = await sendAll(lambda, [message()], { config: { ...LAMBDA, requestTimeout: 1 } });
      assert.partialDeepStrictEqual(late, { to: 'Failure', away: true });
    },
  ));

describe('aws: a real server', { skip: missing('aws') }, () => {
  let server: AwsServer;
  const client = { region: 'us-east-1', credentials: { ...KEYS } };
  before(async () => {
    server = await startAws();
    process.env['AWS_ENDPOINT_URL'] = server.url;
  });
  after(async () => {
    delete process.env['AWS_ENDPOINT_URL'];
    await server?.close();
  });

  const read = async (QueueUrl: string) =>
    (
      await new SQSClient(client).send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] }),
      )
    ).Messages ?? [];

  test('sqs: a standard queue, attributes', async () => {
    const { QueueUrl } = await new SQSClient(client).send(new CreateQueueCommand({ QueueName: 'plain' }));
    const config = { ...KEYS, queueUrlPattern: QueueUrl!.replace('plain', '${q}'), messageAttributes: { 'k-${q}': 'v-$[n]' } };
    const [outcome] = (await sendAll(sqs, [message({ data: '{"n": 1}', metadata: { q: 'plain' } })], { config })) as [Failed];
    const found = await read(QueueUrl!);
    assert.deepEqual(
      found.map(({ Body, MessageAttributes }) => ({ Body, MessageAttributes })),
      [{ Body: '{"n": 1}', MessageAttributes: { 'k-plain': { DataType: 'String', StringValue: 'v-1' } } }],
    );
    const { requestId, messageAttributesMd5, ...metadata } = outcome.metadata;
    assert.deepEqual(
      { ...outcome, metadata },
      { to: 'Success', metadata: { q: 'plain', messageId: found[0]!.MessageId, messageBodyMd5: md5('{"n": 1}') } },
    );
    assert.match(`${requestId} ${messageAttributesMd5}`, /^\S+ [0-9a-f]{32}$/);
  });

  test('sqs: a delay hides the message', async () => {
    const { QueueUrl } = await new SQSClient(client).send(new CreateQueueCommand({ QueueName: 'late' }));
    const [outcome] = await sendAll(sqs, [message()], { config: { ...KEYS, queueUrlPattern: QueueUrl, delaySeconds: 600 } });
    assert.partialDeepStrictEqual(outcome, { to: 'Success' });
    assert.deepEqual(await read(QueueUrl!), []);
  });

  test('sqs: FIFO keeps originators apart and takes a message once, however often it is sent', async () => {
    const { QueueUrl } = await new SQSClient(client).send(new CreateQueueCommand({ QueueName: 'q.fifo', Attributes: { FifoQueue: 'true' } }));
    const config = { ...KEYS, queueType: 'FIFO', queueUrlPattern: QueueUrl, delaySeconds: 600 };
    const outcomes = (await sendAll(sqs, [message({ data: '1' }), message({ data: '1' })], { config })) as Failed[];
    assert.match(outcomes[0]!.metadata['sequenceNumber']!, /^\d+$/);
    const found = await read(QueueUrl!);
    assert.deepEqual(
      found.map(({ Body, Attributes }) => [Body, Attributes!.MessageGroupId, Attributes!.MessageDeduplicationId]),
      [['1', DEVICE, message().id]],
    );
  });

  test('sqs, sns: what does not exist is a failure of the message', async () => {
    const [queue] = (await sendAll(sqs, [message()], { config: { ...KEYS, queueUrlPattern: `${server.url}/123456789012/none` } })) as [Failed];
    assert.deepEqual([queue.to, queue.away, queue.metadata['error']], ['Failure', false, `class QueueDoesNotExist: ${queue.error}`]);
    const [topic] = (await sendAll(sns, [message()], { config: KEYS })) as [Failed];
    assert.deepEqual([topic.to, topic.away, topic.metadata['error']], ['Failure', false, `class NotFoundException: ${topic.error}`]);
  });

  test('sns: a subscriber gets it', async () => {
    const { TopicArn } = await new SNSClient(client).send(new CreateTopicCommand({ Name: 'alarms' }));
    const { QueueUrl } = await new SQSClient(client).send(new CreateQueueCommand({ QueueName: 'subscriber' }));
    const queueArn = 'arn:aws:sqs:us-east-1:123456789012:subscriber';
    await new SNSClient(client).send(
      new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: queueArn, Attributes: { RawMessageDelivery: 'true' } }),
    );
    const config = { ...KEYS, topicArnPattern: TopicArn!.replace('alarms', '${t}') };
    const [outcome] = (await sendAll(sns, [message({ data: '[1]', metadata: { t: 'alarms' } })], { config })) as [Failed];
    assert.deepEqual([outcome.to, Object.keys(outcome.metadata)], ['Success', ['t', 'messageId', 'requestId']]);
    assert.deepEqual(
      (await read(QueueUrl!)).map(({ Body }) => Body),
      ['[1]'],
    );
  });

  test('lambda: the answer of the function is the data', async () => {
    await fetch(`${server.url}/moto-api/config`, {
      method: 'POST',
      body: '{"lambda": {"use_docker": false}, "iam": {"load_aws_managed_policies": false}}',
    });
    const scope = 'AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=any';
    const role = new URLSearchParams({ Action: 'CreateRole', Version: '2010-05-08', RoleName: 'any', AssumeRolePolicyDocument: '{}' });
    await fetch(server.url, { method: 'POST', body: role, headers: { authorization: scope } });
    await fetch(`${server.url}/moto-api/static/lambda-simple/response`, { method: 'POST', body: '{"results": ["{\\"ok\\": true}"]}' });
    await new LambdaClient(client).send(
      new CreateFunctionCommand({
        FunctionName: 'fn-a',
        Runtime: 'nodejs20.x',
        Handler: 'index.handler',
        Role: 'arn:aws:iam::123456789012:role/any',
        Code: { ZipFile: Buffer.from('UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==', 'base64') },
      }),
    );
    const [outcome] = (await sendAll(lambda, [message({ data: '{"n": 1}', metadata: { site: 'a' } })], { config: LAMBDA })) as [Failed];
    assert.deepEqual([outcome.to, outcome.data, outcome.metadata['site']], ['Success', '{"ok": true}', 'a']);
  });
});
