import assert from 'node:assert/strict';
import test from 'node:test';
import scriptTransform from '#rulechains/nodes/transformation/script-transform.ts';
import { message } from '#test/support/message.ts';
import { run, services } from '#test/support/services.ts';

const before = message({ data: '{ "a" : 1.0 }', metadata: { k: 'v' }, type: 'T' });

for (const { name, script, to } of [
  {
    name: 'data is printed again, with Java’s numbers',
    script: 'return {msg: {x: 1e21, y: 12345678.5, z: 5}};',
    to: { to: 'Success', data: '{"x":1.0E21,"y":1.23456785E7,"z":5}' },
  },
  { name: 'without msg the data keeps its text', script: 'return {metadata: {n: 1}};', to: { to: 'Success', metadata: { n: '1' } } },
  { name: 'msg may be anything', script: "return {msg: [1, 'a', null]};", to: { to: 'Success', data: '[1,"a",null]' } },
  { name: 'msg null', script: 'return {msg: null};', to: { to: 'Success', data: 'null' } },
  {
    name: 'metadata becomes text, nulls are dropped',
    script: "return {metadata: {a: 0.1+0.2, b: 10/2, c: 1e21, d: 1e5, e: -0, f: true, g: null, h: '', i: undefined}};",
    to: { to: 'Success', metadata: { a: '0.30000000000000004', b: '5', c: '1.0E21', d: '100000', e: '0', f: 'true', h: '' } },
  },
  { name: 'metadata null stays as it was', script: 'return {metadata: null};', to: 'Success' },
  { name: 'the type may be changed', script: "return {msgType: 'T2'};", to: { to: 'Success', type: 'T2' } },
  { name: 'a number as type', script: 'return {msgType: 5};', to: { to: 'Success', type: '5' } },
  { name: 'null as type is the text null', script: 'return {msgType: null};', to: { to: 'Success', type: 'null' } },
  { name: 'an object or nothing as type', script: 'return [{msgType: {}}, {msgType: []}, {msgType: ""}];', to: ['Success', 'Success', 'Success'] },
  {
    name: 'nested metadata fails',
    script: 'return {metadata: {o: {a: 1}}};',
    to: { to: 'Failure', error: 'Metadata value of \'o\' must be a scalar, the script returned: {"a":1}' },
  },
  {
    name: 'metadata that is no object fails',
    script: "return {metadata: 'text'};",
    to: { to: 'Failure', error: 'Metadata must be an object, the script returned: "text"' },
  },
  { name: 'an empty array fails', script: 'return [];', to: { to: 'Failure', error: 'Message or messages list are empty!' } },
  {
    name: 'several, what is no object is a copy',
    script: 'return [{msg: {i: 1}}, 5, null];',
    to: [{ to: 'Success', data: '{"i":1}' }, 'Success', 'Success'],
  },
  { name: 'thrown', script: "throw new Error('bad thing');", to: { to: 'Failure', error: 'bad thing' } },
])
  test(`script transform: ${name}`, async () => {
    assert.deepEqual(await run(scriptTransform, [before], { config: { scriptLang: 'JS', jsScript: script } }), [to]);
  });

test('script transform: nested metadata of TBEL becomes the text that Java makes of it', async () => {
  const tbelScript = "return {metadata: {o: {a: 1, b: [1, 0.5, 'x']}, l: [true, {c: 1e21}], e: [], m: {}, n: null}};";
  assert.deepEqual(await run(scriptTransform, [before], { config: { scriptLang: 'TBEL', tbelScript } }), [
    { to: 'Success', metadata: { o: '{a=1, b=[1, 0.5, x]}', l: '[true, {c=1.0E21}]', e: '[]', m: '{}' } },
  ]);
});

test('script transform: a batch crosses once, one bad message harms no other', async () => {
  const given = services();
  const messages = ['{"i":1}', 'no json', '{"i":2}'].map((data) => message({ data }));
  const outcomes = await run(scriptTransform, messages, { config: { scriptLang: 'JS', jsScript: 'msg.i++; return {msg: msg};' }, services: given });
  assert.deepEqual([outcomes[0], outcomes[2], given.counts.runs], [{ to: 'Success', data: '{"i":2}' }, { to: 'Success', data: '{"i":3}' }, 1]);
  assert.equal((outcomes[1] as { to: string }).to, 'Failure');
});
