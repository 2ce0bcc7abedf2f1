import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

const read = async (accept: string, path = '/api/auth/user') => api.call('GET', path, { headers: { accept } });

for (const accept of [
  '*/*',
  'application/json',
  'text/html, */*;q=0.8',
  'application/*',
  'text/plain, APPLICATION/JSON;charset=UTF-8',
  'application/json;q=0.1',
]) {
  test(`accept: '${accept}' takes JSON`, async () => assert.equal((await read(accept)).status, 200));
}
for (const accept of ['application/xml', 'text/plain', 'application/json;q=0, text/html', 'application/jsonp']) {
  test(`accept: '${accept}' rules it out`, async () => {
    const { status, body } = await read(accept);
    assert.deepEqual(
      [status, body.status, body.errorCode, body.message],
      [406, 406, 31, `The answer is application/json, which 'Accept: ${accept}' rules out`],
    );
  });
}

test('accept: what is a text anyway, an error, and what changes something are answered', async () => {
  const accept = 'text/plain';
  assert.equal((await read(accept, '/api/uiSettings/helpBaseUrl')).status, 200);
  assert.equal((await read(accept, '/api/device/13814000-1dd2-11b2-8080-808080808081')).status, 404);
  assert.equal((await api.call('POST', '/api/device', { headers: { accept }, body: { name: 'saved' } })).status, 200);
});
