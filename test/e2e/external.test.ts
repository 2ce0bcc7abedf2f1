import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { startHttp } from '../support/http-server.ts';
import { type Answer, type Product, startProduct } from '../support/product.ts';
import { freePort } from '../support/servers.ts';
import { eventually, latest, SAVE_TELEMETRY, saveChain } from '../support/tenant.ts';

/** External nodes in the running product: the answer goes on through the chain, and a target that is away holds back its own messages alone, also over kill -9. */

let product: Product;
before(async () => {
  product = await startProduct({ env: { DEMO: 'false', MQTT_PORT: '0' } });
});
after(() => product?.close());

const METHODS = { type: 'filter.TbMsgTypeSwitchNode' };
const ASK = {
  parseToPlainText: false,
  ignoreRequestBody: false,
  maxInMemoryBufferSizeInKb: 256,
  requestMethod: 'POST',
  headers: {},
  queryParams: [],
};

async function device(name: string): Promise<{ id: string; post(body: object): Promise<void> }> {
  const { id } = await product.call('POST', '/api/device', { name, type: 'default' });
  const { credentialsId } = await product.call('GET', `/api/device/${id.id}/credentials`);
  return {
    id: id.id,
    async post(body) {
      const { status } = await product.request('POST', `/api/v1/${credentialsId}/telemetry`, body, { token: null });
      assert.equal(status, 200);
    },
  };
}

async function listen(port: number, listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

const stop = (server: Server): void => {
  server.closeAllConnections();
  server.close();
};

test('rest api call: the answer is stored; a target that is away waits over a kill -9 and holds up no other', { timeout: 60_000 }, async () => {
  const here = await startHttp();
  here.answerWith((response) => void response.end('{"answer":7}'));
  const awayPort = await freePort();
  const chain = await saveChain(product, 'rest', {
    switch: { ...METHODS, to: { 'Post telemetry': 'ask' } },
    ask: {
      type: 'rest.TbRestApiCallNode',
      configurationVersion: 4,
      configuration: { ...ASK, restEndpointUrlPattern: 'http://127.0.0.1:$[port]/${deviceName}' },
      to: { Success: 'save' },
    },
    save: SAVE_TELEMETRY,
  });
  const [first, second] = [await device('R-1'), await device('R-2')];
  const port = Number(new URL(here.base).port);
  await second.post({ port: awayPort });
  await first.post({ port });
  await eventually('the one answer is stored', async () => (await latest(product, first.id, ['answer']))['answer'] === 7);
  assert.deepEqual(
    here.seen.map(({ url, body }) => ({ url, body })),
    [{ url: '/R-1', body: `{"port":${port}}` }],
  );
  const waiting = async (): Promise<Answer> => {
    const { nodes } = await product.call('GET', `/api/ruleChain/${chain.id.id}/statistics`);
    return nodes.find(({ name }: { name: string }) => name === 'ask').backlog;
  };
  const backlog = await eventually('the other is seen to wait', async () => {
    const found = await waiting();
    return found.lastError === null ? null : found;
  });
  assert.deepEqual([backlog.count, backlog.lastError], [1, `Not connected to 127.0.0.1:${awayPort}: connect ECONNREFUSED 127.0.0.1:${awayPort}`]);

  await product.kill();
  await product.start();
  assert.equal((await waiting()).count, 1);
  const away = await listen(awayPort, (_request, response) => response.end('{"answer":8}'));
  await eventually('the other answer is stored', async () => (await latest(product, second.id, ['answer']))['answer'] === 8, { deadlineMs: 30_000 });
  await eventually('nothing waits', async () => (await waiting()).count === 0);
  stop(away);
  here.close();
});

test('AI request: with a key that was saved by REST and lies sealed in the store', { timeout: 60_000 }, async () => {
  const asked: unknown[] = [];
  const provider = await listen(0, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      asked.push([request.headers.authorization, JSON.parse(Buffer.concat(chunks).toString()).messages]);
      response.end(JSON.stringify({ choices: [{ message: { content: '{"verdict":"warm"}' } }] }));
    });
  });
  const model = await product.call('POST', '/api/ai/model', {
    name: 'stand-in',
    configuration: {
      provider: 'OPENAI',
      providerConfig: { baseUrl: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`, apiKey: 'sk-e2e' },
      modelId: 'gpt-x',
    },
  });
  await saveChain(product, 'ai', {
    switch: { ...METHODS, to: { 'Post telemetry': 'ask' } },
    ask: {
      type: 'ai.TbAiNode',
      configuration: {
        modelId: model.id,
        systemPrompt: null,
        userPrompt: 'Is $[t] warm?',
        resourceIds: [],
        responseFormat: { type: 'JSON' },
        timeoutSeconds: 10,
        forceAck: true,
      },
      to: { Success: 'save' },
    },
    save: SAVE_TELEMETRY,
  });
  const sensor = await device('AI-1');
  await sensor.post({ t: 30 });
  await eventually('the verdict is stored', async () => (await latest(product, sensor.id, ['verdict']))['verdict'] === 'warm');
  assert.deepEqual(asked, [['Bearer sk-e2e', [{ role: 'user', content: 'Is 30 warm?' }]]]);
  stop(provider);
});
