import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openEntityCache } from '#engine/services/entities.ts';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const OPENAI = { provider: 'OPENAI', providerConfig: { apiKey: 'sk-secret' }, modelType: 'CHAT', modelId: 'gpt-4o', temperature: 0.2 };
const save = (body: object) => api.call('POST', '/api/ai/model', { body });
const opened = async (id: string) => {
  const { backend, secrets } = api.context;
  const { tenantId } = (await api.call('GET', `/api/ai/model/${id}`)).body;
  const cache = openEntityCache({ store: backend.store, onChange: (listener) => backend.onChange(listener), secrets });
  const doc = await cache.of(tenantId.id).find({ entityType: 'AI_MODEL', id });
  cache.close();
  return doc?.body['configuration'];
};

test('created, read, listed, changed, deleted; the key is sealed in the store and never sent back', async () => {
  const created = await save({ name: 'Fast', configuration: OPENAI });
  assert.equal(created.status, 200, created.text);
  const { id, createdTime, tenantId, ...rest } = created.body;
  assert.equal(id.entityType, 'AI_MODEL');
  assert.ok(createdTime > 0 && tenantId.id);
  const shown = { provider: 'OPENAI', providerConfig: {}, modelType: 'CHAT', modelId: 'gpt-4o', temperature: 0.2 };
  assert.deepEqual(rest, { name: 'Fast', version: 1, configuration: shown });
  assert.deepEqual((await api.call('GET', `/api/ai/model/${id.id}`)).body, created.body);
  const stored = await api.context.backend.store.doc('AI_MODEL', tenantId.id, id.id);
  assert.equal(JSON.stringify(stored).includes('sk-secret'), false);
  assert.deepEqual(await opened(id.id), OPENAI);

  const changed = await save({ ...created.body, name: 'Faster', configuration: { ...shown, modelId: 'gpt-5' } });
  assert.deepEqual([changed.status, changed.body.name, changed.body.version], [200, 'Faster', 2]);
  assert.deepEqual(await opened(id.id), { ...OPENAI, modelId: 'gpt-5' });
  assert.equal((await save({ ...created.body, name: 'Stale' })).status, 409);

  assert.deepEqual((await api.call('DELETE', `/api/ai/model/${id.id}`)).body, true);
  assert.deepEqual((await api.call('DELETE', `/api/ai/model/${id.id}`)).body, false);
  assert.equal((await api.call('GET', `/api/ai/model/${id.id}`)).status, 404);
});

test('a list is searched by name, provider and model, and sorted by them', async () => {
  for (const [name, modelId] of [
    ['b', 'gpt-1'],
    ['a', 'gpt-2'],
  ])
    await save({ name, configuration: { ...OPENAI, modelId } });
  const auth = { type: 'BASIC', username: 'u', password: 'hidden' };
  const ollama = { provider: 'OLLAMA', providerConfig: { baseUrl: 'http://localhost:11434', auth }, modelId: 'llama3' };
  assert.equal((await save({ name: 'c', configuration: ollama })).status, 200);
  const names = async (query: string) =>
    (await api.call('GET', `/api/ai/model?pageSize=10&page=0&${query}`)).body.data.map(({ name }: { name: string }) => name).join();
  assert.equal(await names('sortProperty=name&sortOrder=ASC'), 'a,b,c');
  assert.equal(await names('sortProperty=modelId&sortOrder=DESC'), 'c,a,b');
  assert.equal(await names('sortProperty=provider&sortOrder=ASC').then((text) => text.split(',')[0]), 'c');
  assert.equal(await names('textSearch=LLAMA'), 'c');
  assert.equal(await names('textSearch=openai&sortProperty=name&sortOrder=ASC'), 'a,b');
  const { body, text } = await api.call('GET', '/api/ai/model?pageSize=1&page=0&sortProperty=name&sortOrder=DESC');
  assert.deepEqual([body.totalElements, body.totalPages, body.hasNext], [3, 3, true]);
  assert.equal(text.includes('hidden'), false);
});

for (const { name, body, says } of [
  { name: 'no name', body: { configuration: OPENAI }, says: /AI model name should be specified!/ },
  { name: 'no configuration', body: { name: 'x' }, says: /should name a provider: OPENAI, / },
  { name: 'an unknown provider', body: { name: 'x', configuration: { ...OPENAI, provider: 'ACME' } }, says: /should name a provider: OPENAI, / },
  {
    name: 'a provider that is no own key',
    body: { name: 'x', configuration: { ...OPENAI, provider: 'constructor' } },
    says: /should name a provider/,
  },
  { name: 'no model', body: { name: 'x', configuration: { ...OPENAI, modelId: '' } }, says: /modelId/ },
  { name: 'no key', body: { name: 'x', configuration: { ...OPENAI, provider: 'ANTHROPIC', providerConfig: {} } }, says: /providerConfig/ },
  { name: 'top P above 1', body: { name: 'x', configuration: { ...OPENAI, topP: 2 } }, says: /topP/ },
])
  test(`refused: ${name}`, async () => {
    const { status, body: answer } = await save(body);
    assert.equal(status, 400);
    assert.match(answer.message, says);
  });

test('a name that is taken, a model that is not there, and callers who may not', async () => {
  await save({ name: 'once', configuration: OPENAI });
  assert.match((await save({ name: 'once', configuration: OPENAI })).body.message, /AI model with such name already exists!/);
  const id = { entityType: 'AI_MODEL', id: '784f394c-42b6-435a-983c-b7beff2784f9' };
  assert.equal((await save({ id, name: 'y', configuration: OPENAI })).status, 404);
  assert.equal((await api.call('GET', '/api/ai/model?pageSize=1&page=0', { token: await api.login(SYSADMIN) })).status, 403);
});

test('another provider does not inherit the key of the old one', async () => {
  const { body } = await save({ name: 'moves', configuration: OPENAI });
  const moved = await save({ ...body, version: null, configuration: { provider: 'MISTRAL_AI', providerConfig: {}, modelId: 'm' } });
  assert.equal(moved.status, 400);
});
