import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, SYSADMIN, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const retrying = (name: string, more: object = {}) => ({
  name,
  submitStrategy: { type: 'SEQUENTIAL_BY_ORIGINATOR', batchSize: 100 },
  processingStrategy: { type: 'RETRY_FAILED', retries: 3, failurePercentage: 0, pauseBetweenRetries: 5, maxPauseBetweenRetries: 20 },
  ...more,
});
const names = async () =>
  (await api.call('GET', '/api/queues?serviceType=TB_RULE_ENGINE&pageSize=100&page=0')).body.data
    .map((queue: { name: string }) => queue.name)
    .toSorted();

test('a tenant has the queues of the system and makes its own, which are changed and deleted', async () => {
  assert.deepEqual(await names(), ['HighPriority', 'Main', 'SequentialByOriginator']);
  const { status, body } = await api.call('POST', '/api/queues?serviceType=TB_RULE_ENGINE', { body: retrying('Careful') });
  assert.equal(status, 200);
  const { id, createdTime, tenantId, version, ...rest } = body;
  assert.ok(id.id && createdTime && tenantId.id && version);
  assert.deepEqual(rest, {
    name: 'Careful',
    topic: 'tb_rule_engine.careful',
    pollInterval: 25,
    partitions: 10,
    consumerPerPartition: true,
    packProcessingTimeout: 2000,
    submitStrategy: { type: 'SEQUENTIAL_BY_ORIGINATOR', batchSize: 100 },
    processingStrategy: { type: 'RETRY_FAILED', retries: 3, failurePercentage: 0, pauseBetweenRetries: 5, maxPauseBetweenRetries: 20 },
    additionalInfo: null,
  });
  assert.deepEqual(await names(), ['Careful', 'HighPriority', 'Main', 'SequentialByOriginator']);
  assert.equal((await api.call('GET', '/api/queues/name/Careful')).body.id.id, id.id);
  const changed = retrying('Careful', { id, processingStrategy: { type: 'RETRY_ALL', retries: 0 } });
  assert.deepEqual((await api.call('POST', '/api/queues', { body: changed })).body.processingStrategy, {
    type: 'RETRY_ALL',
    retries: 0,
    failurePercentage: 0,
    pauseBetweenRetries: 3,
    maxPauseBetweenRetries: 3,
  });
  assert.equal((await api.call('DELETE', `/api/queues/${id.id}`)).status, 200);
  assert.deepEqual(await names(), ['HighPriority', 'Main', 'SequentialByOriginator']);
});

test('the queues of the system are the system administrator’s, and Main stays', async () => {
  const main = (await api.call('GET', '/api/queues/name/Main')).body;
  assert.equal((await api.call('DELETE', `/api/queues/${main.id.id}`)).status, 403);
  const token = await api.login(SYSADMIN);
  const refused = await api.call('DELETE', `/api/queues/${main.id.id}`, { token });
  assert.deepEqual([refused.status, refused.body.message], [400, 'Main queue can not be deleted!']);
});

for (const { name, body, message } of [
  { name: 'no name', body: retrying(''), message: /^Queue name should be specified!/ },
  { name: 'a name with blanks', body: retrying('a b'), message: /alphanumerics/ },
  { name: 'a name that is taken', body: retrying('Twice'), message: /already exists/ },
  { name: 'no strategy', body: { ...retrying('Q'), processingStrategy: null }, message: /^Queue processingStrategy can't be null!$/ },
  {
    name: 'an unknown strategy',
    body: retrying('Q', { submitStrategy: { type: 'RANDOM' } }),
    message: /^Queue submitStrategy.type should be one of BURST,/,
  },
  {
    name: 'a pause that is no number',
    body: retrying('Q', { processingStrategy: { type: 'RETRY_ALL', pauseBetweenRetries: '5' } }),
    message: /^Queue processingStrategy.pauseBetweenRetries should be a number of at least 0!$/,
  },
]) {
  test(`a queue is refused for ${name}`, async () => {
    if (name === 'a name that is taken') await api.call('POST', '/api/queues', { body });
    const answer = await api.call('POST', '/api/queues', { body });
    assert.equal(answer.status, 400);
    assert.match(answer.body.message, message);
  });
}
