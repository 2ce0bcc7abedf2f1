import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { differences, testConverters } from '../../cli/test.ts';

const CONVERTERS = join(import.meta.dirname, 'converters');

async function run(dir: string, json = false): Promise<{ code: number; output: string }> {
  let output = '';
  const code = await testConverters(dir, {
    json,
    write: (text) => {
      output += text;
    },
  });
  return { code, output };
}

test('the catalogue layout: numbered samples, metadata of a sample or of all, text and base64, downlinks, TBEL', async () => {
  assert.deepEqual(await run(join(CONVERTERS, 'catalogue')), {
    code: 0,
    output: 'skipped 1: a payload without a result\n6 passed, 0 failed, 1 skipped\n',
  });
});

test('our layout: hex, text and JSON payloads, downlink cases; a failure names each field that differs', async () => {
  assert.deepEqual(await run(join(CONVERTERS, 'own')), {
    code: 1,
    output: `FAILED broken/cases/no-hex.json
  not a case: payload is not hex
FAILED broken/cases/no-json.json
  not a case: Expected ',' or '}' after property value in JSON at position 19 (line 2 column 1)
FAILED broken/cases/differs.json
  [0].a: expected 2, got 1
  [0].b[1].d: expected null, got nothing
FAILED broken/cases/throws.json
  SyntaxError: Expected property name or '}' in JSON at position 1 (line 1 column 2) (line 1, column 9)
3 passed, 4 failed, 0 skipped
`,
  });
});

test('TBEL: decoders and encoders of devices, each case worked out from the documentation', async () => {
  assert.deepEqual(await run(join(import.meta.dirname, 'tbel-converters')), { code: 0, output: '56 passed, 0 failed, 0 skipped\n' });
});

test('TBEL: what ThingsBoard would refuse or do otherwise is told with its place, and fails nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fieldbridge-'));
  try {
    mkdirSync(join(folder, 'lamp', 'cases'), { recursive: true });
    writeFileSync(join(folder, 'lamp', 'uplink.tbel'), 'var n = 0;\nfor (;;) {\n  n = n + payload[0];\n  if (n > 4) { return {n: n}; }\n}\n');
    writeFileSync(join(folder, 'lamp', 'cases', 'two.json'), '{"payload": "02", "result": {"n": 6}}');
    const message = "'for (;;)' is refused by the original engine";
    assert.deepEqual(await run(folder), { code: 0, output: `hint ${join('lamp', 'uplink.tbel')}:2:1: ${message}\n1 passed, 0 failed, 0 skipped\n` });
    assert.deepEqual(JSON.parse((await run(folder, true)).output).hints, [{ name: join('lamp', 'uplink.tbel'), message, line: 2, column: 1 }]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('--json gives the same as one value', async () => {
  const { code, output } = await run(join(CONVERTERS, 'catalogue', 'VENDORS', 'acme', 'TH1', 'LORIOT'), true);
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(output), {
    passed: 1,
    failed: 0,
    skipped: 0,
    cases: [{ name: 'uplink/payload', outcome: 'passed', reasons: [] }],
  });
});

test('a folder without converters, and one that is not there, are a wrong use', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'fieldbridge-'));
  try {
    assert.equal((await run(empty)).code, 2);
  } finally {
    rmSync(empty, { recursive: true });
  }
  assert.equal((await run(empty)).code, 2);
});

for (const { name, expected, actual, lines } of [
  { name: 'order of keys is none', expected: { a: 1, b: 2 }, actual: { b: 2, a: 1 }, lines: [] },
  { name: 'an object is not a list of it', expected: { a: 1 }, actual: [{ a: 1 }], lines: ['result: expected {"a":1}, got [{"a":1}]'] },
  { name: 'a number is not its text', expected: [1], actual: ['1'], lines: ['[0]: expected 1, got "1"'] },
  { name: 'a longer list', expected: { a: [] }, actual: { a: [null] }, lines: ['a[0]: expected nothing, got null'] },
]) {
  test(`difference: ${name}`, () => assert.deepEqual(differences(expected, actual), lines));
}
