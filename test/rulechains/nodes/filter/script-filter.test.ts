import assert from 'node:assert/strict';
import test from 'node:test';
import scriptFilter from '#rulechains/nodes/filter/script-filter.ts';
import { message } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

const js = (jsScript: string | null) => ({ scriptLang: 'JS', jsScript });

test('script filter: each message goes its way, after one crossing', async () => {
  const given = services();
  const messages = [{ t: 25 }, { t: 20 }, { fail: true }, { t: 21 }].map((data) => message({ data }));
  const outcomes = await run(scriptFilter, messages, { config: js("if (msg.fail) throw 'no'; return msg.t > 20;"), services: given });
  assert.deepEqual(outcomes, ['True', 'False', { to: 'Failure', error: 'no' }, 'True']);
  assert.equal(given.counts.runs, 1);
});

test('script filter: sees data, metadata and type', async () => {
  const script = "return msg[1] === 'b' && metadata.k === 'v' && msgType === 'T';";
  assert.deepEqual(await run(scriptFilter, [message({ data: ['a', 'b'], metadata: { k: 'v' }, type: 'T' })], { config: js(script) }), ['True']);
});

for (const { name, config, reason } of [
  { name: 'blank', config: js('  '), reason: 'JS script is blank!' },
  { name: 'null', config: js(null), reason: 'JS script is blank!' },
  { name: 'blank TBEL', config: { scriptLang: 'TBEL', tbelScript: '' }, reason: 'TBEL script is blank!' },
  { name: 'TBEL that does not compile', config: { tbelScript: 'return ((' }, reason: 'Unexpected error when creating script engine: Unexpected end' },
  { name: 'not compiling', config: js('return (('), reason: 'Unexpected error when creating script engine: Unexpected end' },
])
  test(`script filter: ${name} script makes the node unusable`, () => assert.rejects(start(scriptFilter, { config }), { message: reason }));

test('script filter: without a language the script is JavaScript', async () => {
  assert.deepEqual(
    await run(scriptFilter, [message({ data: { a: 1 } })], { exact: { jsScript: 'return msg.a == 1;', tbelScript: 'return false;' } }),
    ['True'],
  );
});
