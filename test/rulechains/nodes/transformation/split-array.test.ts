import assert from 'node:assert/strict';
import test from 'node:test';
import splitArray from '#rulechains/nodes/transformation/split-array.ts';
import { message } from '#test/support/message.ts';
import { run } from '#test/support/services.ts';

const parts = (...data: string[]) => data.map((text) => ({ to: 'Success', data: text }));
const refused = { to: 'Failure', error: 'Msg data is not a JSON Array!' };

for (const { data, to } of [
  { data: '[1,"a",null,true,[2],{"x":1}]', to: parts('1', '"a"', 'null', 'true', '[2]', '{"x":1}') },
  { data: '[1.0, 2e3 , {"a" : 1.50},-0.0, 9007199254740993]', to: parts('1.0', '2000.0', '{"a":1.5}', '-0.0', '9007199254740993') },
  { data: '[{"a" : 1.0}]', to: parts('{"a":1.0}') },
  { data: '[]', to: [] },
  { data: '{"a":1}', to: refused },
  { data: '"text"', to: refused },
  { data: '5', to: refused },
  { data: 'null', to: refused },
])
  test(`split array msg: ${data}`, async () => assert.deepEqual(await run(splitArray, [message({ data })]), [to]));

for (const data of ['', '[1,', 'text'])
  test(`split array msg: ${JSON.stringify(data)} is a failure`, async () =>
    assert.equal(((await run(splitArray, [message({ data })]))[0] as { to: string }).to, 'Failure'));
