import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { PubSub } from '@google-cloud/pubsub';
import pubsub from '#rulechains/nodes/external/gcp-pubsub.ts';
import { startPubSub } from '#test/support/cloud.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { freePort, missing } from '#test/support/servers.ts';
import { start } from '#test/support/services.ts';

const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const KEY = JSON.stringify({ client_email: 'me@plant.iam.gserviceaccount.com', private_key: privateKey });

for (const { name, config, error } of [
  { name: 'no key', config: {}, error: 'Service account key is not a valid JSON!' },
  { name: 'null as the key', config: { serviceAccountKey: 'null' }, error: 'Service account key has no client_email or private_key!' },
  { name: 'half a key', config: { serviceAccountKey: '{"client_email":"a"}' }, error: 'Service account key has no client_email or private_key!' },
  { name: 'no topic', config: { serviceAccountKey: KEY, topicName: null }, error: 'Project and topic must be set!' },
])
  test(`gcp pubsub does not start: ${name}`, () => assert.rejects(start(pubsub, { config }), { message: error }));

describe('gcp pubsub: the real server', { skip: missing('pubsub') }, () => {
  let server: Awaited<ReturnType<typeof startPubSub>>;
  before(async () => {
    server = await startPubSub();
    Object.assign(process.env, { PUBSUB_EMULATOR_HOST: server.address, METADATA_SERVER_DETECTION: 'none' });
  });
  after(async () => {
    delete process.env['PUBSUB_EMULATOR_HOST'];
    await server?.close();
  });

  const config = { projectId: 'plant', topicName: 'up', serviceAccountKey: KEY, messageAttributes: { '${k}': 'v $[n]', fixed: null } };

  test('data and attributes arrive; a topic that does not exist is a failure of the message', async () => {
    const client = new PubSub({ projectId: 'plant' });
    const [topic] = await client.createTopic('up');
    const [subscription] = await topic.createSubscription('reader');
    const arrived = new Promise<{ id: string; data: Buffer; attributes: object }>((resolve) => subscription.once('message', resolve));
    const [outcome] = (await sendAll(pubsub, [message({ data: '{"n": 1}', metadata: { k: 'site' } })], { config })) as [{ metadata: object }];
    const { id, data, attributes } = await arrived;
    assert.deepEqual(outcome, { to: 'Success', metadata: { k: 'site', messageId: id } });
    assert.deepEqual([String(data), { ...attributes }], ['{"n": 1}', { site: 'v 1', fixed: '' }]);
    await client.close();
    const [none] = await sendAll(pubsub, [message()], { config: { ...config, topicName: 'none' } });
    assert.partialDeepStrictEqual(none, { to: 'Failure', away: false });
    assert.match((none as { error: string }).error, /NOT_FOUND/);
    assert.deepEqual(await sendAll(pubsub, [message({ data: '' })], { config }), [{ to: 'Failure', error: 'Failed to process pattern!' }]);
  });

  test('a server that is not there is waited for', async () => {
    process.env['PUBSUB_EMULATOR_HOST'] = `127.0.0.1:${await freePort()}`;
    const node = await external(pubsub, { config });
    try {
      assert.partialDeepStrictEqual(await node.send(message()), { to: 'Failure', away: true });
    } finally {
      node.stop();
      process.env['PUBSUB_EMULATOR_HOST'] = server.address;
    }
  });
});
