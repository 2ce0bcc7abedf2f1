import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';

let api: Api;
before(async () => {
  api = await startApi();
});
after(() => api.close());

/** A user is told, beside the result, what ThingsBoard would do with a script of TBEL. */
const LOOP = 'var n = 0;\nfor (;;) { n = n + 1; if (n > 2) { return ';
const HINTS = [{ line: 2, column: 1, message: "'for (;;)' is refused by the original engine" }];
const END = '; } }';

for (const [name, path, body, answer] of [
  [
    'testScript',
    '/api/ruleChain/testScript?scriptLang=TBEL',
    { scriptType: 'json', script: `${LOOP}n${END}`, msg: '{}', metadata: {}, msgType: 'T' },
    { output: '3', error: '', hints: HINTS },
  ],
  [
    'testScript whose result is wrong',
    '/api/ruleChain/testScript?scriptLang=TBEL',
    { scriptType: 'filter', script: `${LOOP}n${END}`, msg: '{}', metadata: {}, msgType: 'T' },
    { output: '', error: 'Wrong result type: Integer', hints: HINTS },
  ],
  [
    'testScript in which there is nothing to say',
    '/api/ruleChain/testScript?scriptLang=TBEL',
    { scriptType: 'json', script: 'return 1;', msg: '{}', metadata: {}, msgType: 'T' },
    { output: '1', error: '' },
  ],
  [
    'testScript that does not compile',
    '/api/ruleChain/testScript?scriptLang=TBEL',
    { scriptType: 'json', script: 'var a = 1;\nreturn (a;', msg: '{}', metadata: {}, msgType: 'T' },
    { output: '', error: 'unbalanced braces: ( (line 2, column 8)' },
  ],
  [
    'testUpLink',
    '/api/converter/testUpLink?scriptLang=TBEL',
    { decoder: `${LOOP}{deviceName: "d", deviceType: "t", telemetry: {n: n}}${END}`, payload: 'AQ==', metadata: {} },
    { output: '{"deviceName":"d","deviceType":"t","telemetry":{"n":3}}', error: '', hints: HINTS },
  ],
  [
    'testUpLink that fails',
    '/api/converter/testUpLink?scriptLang=TBEL',
    { decoder: `${LOOP}raiseError("no")${END}`, payload: 'AQ==', metadata: {} },
    { output: '', error: 'raiseError("no"): no (line 2, column 43)', hints: HINTS },
  ],
  [
    'testDownLink',
    '/api/converter/testDownLink?scriptLang=TBEL',
    {
      encoder: `${LOOP}{contentType: "TEXT", data: "d" + n, metadata: {}}${END}`,
      msg: '{}',
      msgType: 'T',
      metadata: {},
      integrationMetadata: {},
    },
    {
      contentType: 'TEXT',
      data: 'd3',
      metadata: {},
      output: '{"contentType":"TEXT","data":"d3","metadata":{}}',
      error: '',
      hints: HINTS,
    },
  ],
] as const)
  test(`hints of a script: ${name}`, async () => {
    const { status, body: found } = await api.call('POST', path, { body });
    assert.deepEqual([status, found], [200, answer]);
  });
