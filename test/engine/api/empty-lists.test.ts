import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

for (const path of ['/api/otaPackages', '/api/queueStats', '/api/widgetsBundles']) {
  test(`${path}: none, in a page`, async () => {
    const { body } = await api.call('GET', `${path}?pageSize=10&page=3`);
    assert.deepEqual(body, { data: [], totalPages: 0, totalElements: 0, hasNext: false });
    for (const query of ['pageSize=0&page=0', 'pageSize=&page=0', 'pageSize=10', 'pageSize=10&page=0&sortProperty=nope'])
      assert.equal((await api.call('GET', `${path}?${query}`)).status, 400, query);
  });
}
