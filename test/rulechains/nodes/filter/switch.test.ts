import assert from 'node:assert/strict';
import test from 'node:test';
import scriptSwitch from '#rulechains/nodes/filter/switch.ts';
import { message } from '#test/support/message.ts';
import { run, services } from '#test/support/services.ts';

for (const { name, labels, to } of [
  { name: 'one label', labels: 'one', to: 'one' },
  { name: 'several', labels: ['one', 'tWo'], to: { to: ['one', 'tWo'] } },
  { name: 'the same twice', labels: ['one', 'one'], to: { to: ['one'] } },
  { name: 'none: no way on', labels: [], to: { to: [] } },
])
  test(`switch: ${name}`, async () => {
    assert.deepEqual(await run(scriptSwitch, [message({ data: { labels } })], { config: { scriptLang: 'JS', jsScript: 'return msg.labels;' } }), [
      to,
    ]);
  });

test('switch: what the script engine refuses is a failure with its text', async () => {
  const given = services();
  const scripts = {
    ...given.scripts,
    run: async () => [{ ok: false as const, fault: { reason: 'shape' as const, message: 'Wrong result type: NUMBER' } }],
  };
  const outcomes = await run(scriptSwitch, [message()], { config: { scriptLang: 'JS', jsScript: 'return 5;' }, services: { ...given, scripts } });
  assert.deepEqual(outcomes, [{ to: 'Failure', error: 'Wrong result type: NUMBER' }]);
});
