import assert from 'node:assert/strict';
import test from 'node:test';
import toEmail from '#rulechains/nodes/transformation/to-email.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

const NOTHING = { from: null, to: null, cc: null, bcc: null, subject: null, body: null, images: null, html: false };
const plain = { fromTemplate: 'f', toTemplate: 't', subjectTemplate: 's', bodyTemplate: 'b' };
const PLAIN = { ...NOTHING, from: 'f', to: 't', subject: 's', body: 'b' };

for (const { name, exact = plain, data = {}, metadata = {}, mail } of [
  {
    name: 'what a new node makes',
    exact: { ...toEmail.defaults },
    data: { temperature: 1.5 },
    metadata: { userEmail: 'a@b.c', deviceName: 'T1' },
    mail: {
      ...NOTHING,
      from: 'info@testmail.org',
      to: 'a@b.c',
      subject: `Device \${deviceType} temperature high`,
      body: 'Device T1 has high temperature 1.5',
    },
  },
  {
    name: 'all of it',
    exact: {
      ...{ fromTemplate: 'f', toTemplate: `\${userEmail}`, ccTemplate: `\${cc}`, bccTemplate: '$[bcc]', subjectTemplate: `Тема $[é]` },
      ...{ bodyTemplate: `<b>$[o.p]</b> \${x} $[*]`, isHtmlTemplate: null, mailBodyType: 'true' },
    },
    data: '{"bcc":"b@x","o":{"p":1.50},"é":"ü"}',
    metadata: { cc: 'c@x', x: '"q"\n', userEmail: 'u@x' },
    mail: {
      ...{ from: 'f', to: 'u@x', cc: 'c@x', bcc: 'b@x', subject: 'Тема ü', body: '<b>1.5</b> "q"\n {"bcc":"b@x","o":{"p":1.5},"é":"ü"}' },
      ...{ images: null, html: true },
    },
  },
  {
    name: 'empty templates give null, blank ones do not',
    exact: { fromTemplate: '', toTemplate: null, bccTemplate: ' ' },
    mail: { ...NOTHING, bcc: ' ' },
  },
  { name: 'no templates need no JSON', exact: {}, data: 'no json', mail: NOTHING },
  { name: 'an array', data: [1], mail: PLAIN },
  { name: 'old files have no type of body', mail: PLAIN },
  { name: 'TRUE is true', exact: { ...plain, mailBodyType: 'TRUE' }, mail: { ...PLAIN, html: true } },
  { name: 'a flag instead of a text', exact: { ...plain, mailBodyType: true }, mail: { ...PLAIN, html: true } },
  {
    name: 'dynamic: true',
    exact: { ...plain, mailBodyType: 'dynamic', isHtmlTemplate: `\${h}` },
    metadata: { h: 'true' },
    mail: { ...PLAIN, html: true },
  },
  { name: 'dynamic: not filled', exact: { ...plain, mailBodyType: 'dynamic', isHtmlTemplate: `\${h}` }, mail: PLAIN },
  { name: 'dynamic: no pattern', exact: { ...plain, mailBodyType: 'dynamic' }, mail: PLAIN },
  { name: 'the pattern counts only when dynamic', exact: { ...plain, mailBodyType: 'false', isHtmlTemplate: 'true' }, mail: PLAIN },
  {
    name: 'images',
    metadata: { images: '{"img1":"AAA","n":1.0,"e":1e5,"t":true,"x":null}' },
    mail: { ...PLAIN, images: { img1: 'AAA', n: '1.0', e: '1e5', t: 'true', x: null } },
  },
  { name: 'images null', metadata: { images: 'null' }, mail: PLAIN },
  { name: 'images empty', metadata: { images: '' }, mail: PLAIN },
] as { name: string; exact?: Record<string, unknown>; data?: unknown; metadata?: Record<string, string>; mail: unknown }[])
  test(`to email: ${name}`, async () => {
    const before = message({ data, metadata });
    assert.deepEqual(await run(toEmail, [before], { exact }), [{ to: 'Success', type: 'SEND_EMAIL', data: JSON.stringify(mail) }]);
  });

for (const { name, data = '{}', metadata = {}, error } of [
  { name: 'data that is no JSON', data: 'text', error: 'Failed to process pattern!' },
  { name: 'empty data', data: '', error: 'Failed to process pattern!' },
  {
    name: 'images that are no JSON',
    metadata: { images: 'not json' },
    error: 'The given string value cannot be transformed to Json object: not json',
  },
  { name: 'images that are no map', metadata: { images: '[]' }, error: 'The given string value cannot be transformed to Json object: []' },
  {
    name: 'an image that is no text',
    metadata: { images: '{"a":{}}' },
    error: 'The given string value cannot be transformed to Json object: {"a":{}}',
  },
] as { name: string; data?: string; metadata?: Record<string, string>; error: string }[])
  test(`to email: ${name} is a failure`, async () =>
    assert.deepEqual(await run(toEmail, [message({ data, metadata })], { exact: plain }), [{ to: 'Failure', error }]));

test('to email: unusable with a template that is no text', () =>
  assert.rejects(start(toEmail, { exact: { fromTemplate: {} } }), { message: 'Can\'t convert value: {"fromTemplate":{}}' }));
