import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, verify } from 'node:crypto';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import test, { after, before } from 'node:test';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { Doc } from '#engine/store.ts';
import aiRequest from '#rulechains/nodes/external/ai-request.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message, TENANT } from '#test/support/message.ts';
import { freePort } from '#test/support/servers.ts';
import { NODE } from '#test/support/services.ts';

/** A stand-in that asks of every request what the provider's reference says about it, and answers in the provider's shape. */

let standIn: FastifyInstance;
let base: string;
/** Bodies that came, and what is answered in place of the text. */
const bodies: Record<string, unknown>[] = [];
let instead: { status: number; body: unknown } | null = null;
const google = generateKeyPairSync('rsa', { modulusLength: 2048 });
let googleTokens = 0;

const ANSWER = '{"state":"OK"}';
const REFUSAL = { error: { message: 'bad key' } };

before(async () => {
  standIn = fastify();
  standIn.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  const route = (path: string, login: (request: FastifyRequest) => boolean, answer: unknown) =>
    standIn.post(path, async (request, reply) => {
      if (!login(request) || request.headers['content-type'] !== 'application/json') return reply.code(401).send(REFUSAL);
      bodies.push(request.body as Record<string, unknown>);
      return instead ? reply.code(instead.status).send(instead.body) : answer;
    });
  const bearer = (token: string) => (request: FastifyRequest) => request.headers.authorization === `Bearer ${token}`;
  const completion = { choices: [{ message: { role: 'assistant', content: ANSWER }, finish_reason: 'stop' }] };
  route('/openai/chat/completions', bearer('sk-1'), completion);
  route('/mistral/chat/completions', bearer('mi-1'), { choices: [{ message: { content: [{ type: 'thinking' }, { type: 'text', text: ANSWER }] } }] });
  route('/github/chat/completions', bearer('gh-1'), completion);
  route(
    '/openai/deployments/my-gpt/chat/completions',
    ({ headers, query }) => headers['api-key'] === 'az-1' && (query as Record<string, string>)['api-version'] === '2024-10-21',
    completion,
  );
  route('/anthropic/v1/messages', ({ headers }) => headers['x-api-key'] === 'an-1' && headers['anthropic-version'] === '2023-06-01', {
    content: [
      { type: 'thinking', thinking: 'hm' },
      { type: 'text', text: '{"state":' },
      { type: 'text', text: '"OK"}' },
    ],
  });
  const generated = { candidates: [{ content: { parts: [{ text: 'hm', thought: true }, { text: ANSWER }] } }] };
  route('/gemini/v1beta/models/gemini-x::generateContent', ({ headers }) => headers['x-goog-api-key'] === 'go-1', generated);
  route('/vertex/v1/projects/p/locations/europe-west1/publishers/google/models/gemini-x::generateContent', bearer('vertex-token'), generated);
  standIn.post('/token', async (request, reply) => {
    const form = new URLSearchParams(request.body as string);
    const [head = '', claims = '', signature = ''] = form.get('assertion')!.split('.');
    const valid = verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), google.publicKey, Buffer.from(signature, 'base64url'));
    const { iss, aud, scope, exp, iat } = JSON.parse(Buffer.from(claims, 'base64url').toString());
    const right = iss === 'me@p.iam' && aud === `${base}/token` && scope === 'https://www.googleapis.com/auth/cloud-platform' && exp - iat === 3600;
    if (!valid || !right || form.get('grant_type') !== 'urn:ietf:params:oauth:grant-type:jwt-bearer')
      return reply.code(400).send({ error: 'invalid_grant' });
    googleTokens++;
    return { access_token: 'vertex-token', expires_in: 3600, token_type: 'Bearer' };
  });
  route('/bedrock/model/:model/converse', isSigned, { output: { message: { role: 'assistant', content: [{ text: ANSWER }] } } });
  const chat = { message: { role: 'assistant', content: ANSWER }, done: true };
  route('/none/api/chat', ({ headers }) => headers.authorization === undefined, chat);
  route('/basic/api/chat', ({ headers }) => headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}`, chat);
  route('/token/api/chat', bearer('t-1'), chat);
  base = await standIn.listen({ host: '127.0.0.1', port: 0 });
});
after(() => standIn.close());

/** Signature Version 4, worked out anew from AWS's description: signed are the headers that the request names. */
function isSigned({ headers, body, raw, method }: FastifyRequest): boolean {
  const [, credential = '', names = '', given = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(headers.authorization ?? '') ?? [];
  const [id, day = '', region = '', service = ''] = credential.split('/');
  const date = String(headers['x-amz-date']);
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const mac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest();
  const path = raw.url!.replaceAll('%', '%25');
  const lines = names.split(';').map((name) => `${name}:${headers[name]}\n`);
  const canonical = `${method}\n${path}\n\n${lines.join('')}\n${names}\n${hash(JSON.stringify(body))}`;
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${hash(canonical)}`;
  const key = mac(mac(mac(mac('AWS4secret', day), region), service), 'aws4_request');
  return id === 'AKID' && region === 'eu-west-1' && service === 'bedrock' && date.startsWith(day) && mac(key, toSign).toString('hex') === given;
}

const MODEL_ID = '9a4f394c-42b6-11ec-8d3d-0242ac130003';
type Config = Record<string, unknown>;

const model = (configuration: Config): Doc => ({
  ...{ collection: 'AI_MODEL', id: MODEL_ID, tenantId: TENANT, createdTime: 1, version: 1, name: 'm' },
  body: { configuration },
});
const options = (configuration: Config, config: Config = {}) => ({
  world: { docs: { [MODEL_ID]: model(configuration) } },
  config: { modelId: { entityType: 'AI_MODEL', id: MODEL_ID }, systemPrompt: 'You watch ${plant}', userPrompt: 'State of $[t]?', ...config },
});
const at = (path: string) => new URL(path, base).href;
const given = message({ data: { t: 21.5 }, metadata: { plant: 'north' } });
const openai = () => ({ provider: 'OPENAI', providerConfig: { baseUrl: at('/openai'), apiKey: 'sk-1' }, modelId: 'gpt-x' });

async function ask(configuration: Config, config: Config = {}) {
  bodies.length = 0;
  const [outcome] = await sendAll(aiRequest, [given], options(configuration, config));
  return { outcome, body: bodies[0] };
}

const SCHEMA = { title: 'State of a plant', type: 'object', properties: { state: { type: 'string' } } };
const ALL = { temperature: 0, topP: 0.5, maxOutputTokens: 100 };
const PENALTIES = { frequencyPenalty: 0.1, presencePenalty: 0.2 };
const MESSAGES = [
  { role: 'system', content: 'You watch north' },
  { role: 'user', content: 'State of 21.5?' },
];
const COMMON = { messages: MESSAGES, temperature: 0, top_p: 0.5, frequency_penalty: 0.1, presence_penalty: 0.2, max_tokens: 100 };
const SCHEMA_FORMAT = { type: 'json_schema', json_schema: { name: 'State_of_a_plant', strict: true, schema: SCHEMA } };
const GENERATION = { temperature: 0, topP: 0.5, topK: 3, frequencyPenalty: 0.1, presencePenalty: 0.2, maxOutputTokens: 100 };
const GEMINI = { systemInstruction: { parts: [{ text: 'You watch north' }] }, contents: [{ role: 'user', parts: [{ text: 'State of 21.5?' }] }] };
const serviceAccountKey = () =>
  JSON.stringify({ client_email: 'me@p.iam', private_key: google.privateKey.export({ type: 'pkcs8', format: 'pem' }), token_uri: at('/token') });

for (const { name, configuration, format = { type: 'JSON' }, body } of [
  {
    name: 'OpenAI',
    configuration: () => ({ ...openai(), ...ALL, ...PENALTIES }),
    body: { model: 'gpt-x', ...COMMON, response_format: { type: 'json_object' } },
  },
  { name: 'OpenAI, text, nothing set', configuration: openai, format: { type: 'TEXT' }, body: { model: 'gpt-x', messages: MESSAGES } },
  {
    name: 'OpenAI, a schema',
    configuration: openai,
    format: { type: 'JSON_SCHEMA', schema: SCHEMA },
    body: { model: 'gpt-x', messages: MESSAGES, response_format: SCHEMA_FORMAT },
  },
  {
    name: 'Azure OpenAI',
    configuration: () => ({
      provider: 'AZURE_OPENAI',
      providerConfig: { endpoint: `${base}/`, apiKey: 'az-1' },
      modelId: 'my-gpt',
      ...ALL,
      ...PENALTIES,
    }),
    body: { model: 'my-gpt', ...COMMON, response_format: { type: 'json_object' } },
  },
  {
    name: 'Mistral',
    configuration: () => ({
      provider: 'MISTRAL_AI',
      providerConfig: { apiKey: 'mi-1', baseUrl: at('/mistral') },
      modelId: 'mistral-x',
      ...ALL,
      ...PENALTIES,
    }),
    format: { type: 'JSON_SCHEMA', schema: SCHEMA },
    body: { model: 'mistral-x', ...COMMON, response_format: SCHEMA_FORMAT },
  },
  {
    name: 'GitHub Models',
    configuration: () => ({
      provider: 'GITHUB_MODELS',
      providerConfig: { personalAccessToken: 'gh-1', baseUrl: at('/github') },
      modelId: 'openai/gpt-x',
    }),
    format: { type: 'TEXT' },
    body: { model: 'openai/gpt-x', messages: MESSAGES },
  },
  {
    name: 'Anthropic',
    configuration: () => ({
      provider: 'ANTHROPIC',
      providerConfig: { apiKey: 'an-1', baseUrl: at('/anthropic') },
      modelId: 'claude-x',
      ...ALL,
      topK: 3,
    }),
    format: { type: 'TEXT' },
    body: { model: 'claude-x', max_tokens: 100, system: 'You watch north', messages: MESSAGES.slice(1), temperature: 0, top_p: 0.5, top_k: 3 },
  },
  {
    name: 'Gemini',
    configuration: () => ({
      provider: 'GOOGLE_AI_GEMINI',
      providerConfig: { apiKey: 'go-1', baseUrl: at('/gemini') },
      modelId: 'gemini-x',
      ...ALL,
      ...PENALTIES,
      topK: 3,
    }),
    body: { ...GEMINI, generationConfig: { ...GENERATION, responseMimeType: 'application/json' } },
  },
  {
    name: 'Gemini of Vertex, with a token of the service account',
    configuration: () => ({
      provider: 'GOOGLE_VERTEX_AI_GEMINI',
      providerConfig: {
        fileName: 'k.json',
        projectId: 'p',
        location: 'europe-west1',
        serviceAccountKey: serviceAccountKey(),
        baseUrl: at('/vertex'),
      },
      modelId: 'gemini-x',
    }),
    format: { type: 'JSON_SCHEMA', schema: SCHEMA },
    body: { ...GEMINI, generationConfig: { responseMimeType: 'application/json', responseJsonSchema: SCHEMA } },
  },
  {
    name: 'Amazon Bedrock',
    configuration: () => ({
      provider: 'AMAZON_BEDROCK',
      providerConfig: { region: 'eu-west-1', accessKeyId: 'AKID', secretAccessKey: 'secret', baseUrl: at('/bedrock') },
      modelId: 'anthropic.claude-x-v1:0',
      ...ALL,
    }),
    format: { type: 'TEXT' },
    body: {
      system: [{ text: 'You watch north' }],
      messages: [{ role: 'user', content: [{ text: 'State of 21.5?' }] }],
      inferenceConfig: { temperature: 0, topP: 0.5, maxTokens: 100 },
    },
  },
  ...[{ type: 'NONE' }, { type: 'BASIC', username: 'u', password: 'p' }, { type: 'TOKEN', token: 't-1' }].map((auth) => ({
    name: `Ollama, login ${auth.type}`,
    configuration: () => ({
      provider: 'OLLAMA',
      providerConfig: { baseUrl: at(`/${auth.type.toLowerCase()}`), auth },
      ...{ modelId: 'llama-x', ...ALL, topK: 3, contextLength: 4096 },
    }),
    body: {
      model: 'llama-x',
      stream: false,
      messages: MESSAGES,
      format: 'json',
      options: { temperature: 0, top_p: 0.5, top_k: 3, num_ctx: 4096, num_predict: 100 },
    },
  })),
] as { name: string; configuration: () => Config; format?: Config; body: unknown }[])
  test(`asks ${name}`, async () => {
    const { outcome, body: came } = await ask(configuration(), { responseFormat: format });
    assert.deepEqual(outcome, { to: 'Success', data: ANSWER });
    assert.deepEqual(came, body);
  });

test('one token of Google serves until it ends', async () => {
  googleTokens = 0;
  const providerConfig = { fileName: 'k', projectId: 'p', location: 'europe-west1', serviceAccountKey: serviceAccountKey(), baseUrl: at('/vertex') };
  await sendAll(aiRequest, [given, given, given], options({ provider: 'GOOGLE_VERTEX_AI_GEMINI', providerConfig, modelId: 'gemini-x' }));
  assert.equal(googleTokens, 1);
});

const saying = (content: string) => ({ status: 200, body: { choices: [{ message: { content } }] } });
for (const { name, answer, data } of [
  { name: 'a JSON object is the data as it came', answer: '{"a": 1.0}', data: '{"a": 1.0}' },
  { name: 'text', answer: 'All is "well"', data: '{"response":"All is \\"well\\""}' },
  { name: 'a list', answer: '[1]', data: '{"response":"[1]"}' },
  { name: 'a scalar', answer: '42', data: '{"response":"42"}' },
])
  test(`answer: ${name}`, async () => {
    instead = saying(answer);
    const { outcome } = await ask(openai());
    instead = null;
    assert.deepEqual(outcome, { to: 'Success', data });
  });

for (const { name, reply, error, away = false } of [
  {
    name: 'a refusal of the provider',
    reply: { status: 400, body: { error: { message: 'no such model' } } },
    error: 'OPENAI answered 400: no such model',
  },
  { name: 'too many requests', reply: { status: 429, body: { message: 'slow down' } }, error: 'OPENAI answered 429: slow down', away: true },
  {
    name: 'a refusal of the model',
    reply: { status: 200, body: { choices: [{ message: { content: null, refusal: 'I will not' } }] } },
    error: 'The model gave no text: I will not',
  },
  { name: 'nothing', reply: { status: 200, body: {} }, error: 'The model gave no text' },
  { name: 'nonsense', reply: { status: 200, body: '<html>' }, error: 'The model answered what is no JSON' },
] as { name: string; reply: { status: number; body: unknown }; error: string; away?: boolean }[])
  test(`failure: ${name}`, async () => {
    instead = reply;
    const { outcome } = await ask(openai());
    instead = null;
    const { metadata, ...rest } = outcome as { metadata: Record<string, string> };
    assert.deepEqual(rest, { to: 'Failure', error, away });
    assert.match(metadata['error']!, /^class (Rejected|Busy): /);
  });

test('failure: a model that is slower than its time, and is not asked again', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const { outcome } = await ask({ ...openai(), providerConfig: { baseUrl: `http://${host}/v1` } }, { timeoutSeconds: 1 });
  for (const socket of sockets) socket.destroy();
  silent.close();
  const { to, error, away } = outcome as { to: string; error: string; away: boolean };
  assert.deepEqual([to, error, away], ['Failure', `No answer from ${host} in the time that the message has`, false]);
});

test('a provider that can not be reached is waited for', async () => {
  const port = await freePort();
  const { outcome } = await ask({ ...openai(), providerConfig: { baseUrl: `http://127.0.0.1:${port}` } });
  const { error, away } = outcome as { error: string; away: boolean };
  assert.deepEqual([error, away], [`Not connected to 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`, true]);
});

test('data that is no JSON fails before anybody is asked', async () => {
  bodies.length = 0;
  assert.deepEqual(await sendAll(aiRequest, [message({ data: 'x' })], options(openai())), [{ to: 'Failure', error: 'Failed to process pattern!' }]);
  assert.equal(bodies.length, 0);
});

test('a model that was deleted in between', async () => {
  let found: Doc | null = model(openai());
  const context = {
    config: { ...aiRequest.defaults, ...options({}).config },
    node: NODE,
    entities: { find: async () => found, customerOf: async () => null },
  };
  const state = await aiRequest.start!(context as never);
  found = null;
  const outcome = await aiRequest.send!(given, { ...context, state, signal: AbortSignal.timeout(5000) } as never);
  aiRequest.stop!(state);
  const { error, away } = outcome as { error: string; away: boolean };
  assert.deepEqual([error, away], [`[${TENANT}] AI model with ID: [${MODEL_ID}] was not found`, false]);
});

const claude = { provider: 'ANTHROPIC', providerConfig: { apiKey: 'x' }, modelId: 'm' };
for (const { name, configuration = claude, config, says } of [
  { name: 'no model', config: { modelId: null }, says: /^AI model must be set!$/ },
  { name: 'an unknown model', config: { modelId: { entityType: 'AI_MODEL', id: TENANT } }, says: /AI model with ID: \[784f394c-.*\] was not found$/ },
  { name: 'no user prompt', config: { userPrompt: '' }, says: /^User prompt must have 1 to 500000 characters!$/ },
  { name: 'a time out of range', config: { timeoutSeconds: 601 }, says: /^Timeout must be 1 to 600 seconds!$/ },
  {
    name: 'a format that the provider does not have',
    config: { responseFormat: { type: 'JSON' } },
    says: /^The response format JSON is not supported by ANTHROPIC; use TEXT$/,
  },
  { name: 'no schema', config: { responseFormat: { type: 'JSON_SCHEMA' } }, says: /^JSON schema of the response must be set!$/ },
  { name: 'a resource', config: { resourceIds: [TENANT] }, says: /^Resource with ID: \[784f394c-.*\] was not found$/ },
  {
    name: 'a model that is incomplete',
    configuration: { provider: 'ANTHROPIC', modelId: 'm' },
    config: {},
    says: /is not a chat model that can be used$/,
  },
  { name: 'an unknown key', config: { temperature: 1 }, says: /^Can't convert value: / },
] as { name: string; configuration?: Config; config: Config; says: RegExp }[])
  test(`does not start: ${name}`, () =>
    assert.rejects(external(aiRequest, options(configuration, config)), (cause: Error) => says.test(cause.message)));

test('preview, and whether the message is acknowledged first', () => {
  const config = { ...aiRequest.defaults, ...options({}).config } as never;
  assert.deepEqual(aiRequest.preview!(given, config), {
    systemPrompt: 'You watch north',
    userPrompt: 'State of 21.5?',
    responseFormat: { type: 'JSON' },
  });
  assert.deepEqual([aiRequest.acknowledges!(config), aiRequest.target!(given, config), aiRequest.sendTimeoutMs!(config)], [true, MODEL_ID, 61_000]);
});
