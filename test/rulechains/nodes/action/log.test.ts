import assert from 'node:assert/strict';
import test from 'node:test';
import log from '#rulechains/nodes/action/log.ts';
import { message } from '#test/support/message.ts';
import { run, services, start } from '#test/support/services.ts';

for (const scriptLang of ['TBEL', 'JS', null])
  test(`log: the default text is compared, not run (${scriptLang})`, async () => {
    const given = services();
    const outcomes = await run(log, [message({ data: 'no json', metadata: { k: 'v' } })], { config: { scriptLang }, services: given });
    assert.deepEqual(
      [outcomes, given.did, given.counts.runs],
      [['Success'], [['log', '\nIncoming message:\nno json\nIncoming metadata:\n{"k":"v"}']], 0],
    );
  });

test('log: a script of its own makes the line, a batch crosses once', async () => {
  const given = services();
  const messages = [{ a: 1 }, { fail: true }, { a: 2 }].map((data) => message({ data }));
  const outcomes = await run(log, messages, {
    config: { scriptLang: 'JS', jsScript: "if (msg.fail) throw 'no'; return 'a is ' + msg.a;" },
    services: given,
  });
  assert.deepEqual(outcomes, ['Success', { to: 'Failure', error: 'no' }, 'Success']);
  assert.deepEqual(
    [given.did, given.counts.runs],
    [
      [
        ['log', 'a is 1'],
        ['log', 'a is 2'],
      ],
      1,
    ],
  );
});

test('log: TBEL of its own is checked as any script', () =>
  assert.rejects(start(log, { config: { tbelScript: 'return ((' } }), { message: 'Unexpected error when creating script engine: Unexpected end' }));
