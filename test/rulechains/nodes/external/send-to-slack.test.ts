import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import slack, { sendToSlack } from '#rulechains/nodes/external/send-to-slack.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { freePort } from '#test/support/servers.ts';

/** A stand-in for chat.postMessage, by Slack's reference of the method. */
let standIn: FastifyInstance;
let url: string;
const posted: unknown[] = [];
let instead: { status: number; body: unknown } | null = null;

before(async () => {
  standIn = fastify();
  standIn.post('/chat.postMessage', async ({ headers, body }, reply) => {
    if (headers['content-type'] !== 'application/json; charset=utf-8') return { ok: false, error: 'invalid_form_data' };
    if (headers.authorization !== 'Bearer xoxb-1') return { ok: false, error: 'invalid_auth' };
    if (instead) return reply.code(instead.status).send(instead.body);
    posted.push(body);
    return { ok: true, channel: 'C1', ts: '1503435956.000247' };
  });
  url = await standIn.listen({ host: '127.0.0.1', port: 0 });
});
after(() => standIn.close());

type Config = Record<string, unknown>;
const CONVERSATION = { type: 'PUBLIC_CHANNEL', id: 'C1', name: 'alarms', title: '#alarms', wholeName: null };
const given = message({ data: { temperature: 42.5 }, metadata: { deviceId: 'TH1' } });
const post = async (config: Config = {}, settings: Record<string, Config> = {}, to = url) =>
  (
    await sendAll(sendToSlack(to), [given], {
      config: { useSystemSettings: false, botToken: ' xoxb-1 ', conversation: CONVERSATION, ...config },
      world: { settings },
    })
  )[0];

test('posts the text into the conversation, with its own token or that of the system', async () => {
  posted.length = 0;
  const settings = { notifications: { deliveryMethodsConfigs: { SLACK: { method: 'SLACK', botToken: 'xoxb-1' } } } };
  assert.equal(await post(), 'Success');
  assert.equal(await post({ useSystemSettings: true, botToken: null, messageTemplate: 'a "b" $[*]' }, settings), 'Success');
  assert.deepEqual(posted, [
    { channel: 'C1', text: 'Device TH1: temperature is 42.5' },
    { channel: 'C1', text: 'a "b" {"temperature":42.5}' },
  ]);
});

for (const { name, config, reply = null, error, away = false } of [
  { name: 'no token of the system', config: { useSystemSettings: true }, error: 'Slack token is missing' },
  { name: 'no token of its own', config: { botToken: ' ' }, error: 'Slack token is missing' },
  {
    name: 'a wrong token waits for the right one',
    config: { botToken: 'xoxb-2' },
    error: 'Failed to send message via Slack: invalid_auth',
    away: true,
  },
  {
    name: 'a channel that is not there',
    config: {},
    reply: { status: 200, body: { ok: false, error: 'channel_not_found' } },
    error: 'Failed to send message via Slack: channel_not_found',
  },
  {
    name: 'too many messages',
    config: {},
    reply: { status: 429, body: { ok: false, error: 'ratelimited' } },
    error: 'Failed to send message via Slack: ratelimited',
    away: true,
  },
  { name: 'an outage', config: {}, reply: { status: 502, body: 'bad gateway' }, error: 'Failed to send message via Slack: status 502', away: true },
  { name: 'nonsense', config: {}, reply: { status: 200, body: 'hello' }, error: 'Failed to send message via Slack: status 200' },
] as { name: string; config: Config; reply?: typeof instead; error: string; away?: boolean }[])
  test(`failure: ${name}`, async () => {
    instead = reply;
    const { metadata: _metadata, ...rest } = (await post(config)) as Config;
    instead = null;
    assert.deepEqual(rest, { to: 'Failure', error, away });
  });

test('Slack can not be reached', async () => {
  const { error, away } = (await post({}, {}, `http://127.0.0.1:${await freePort()}`)) as { error: string; away: boolean };
  assert.match(error, /^Not connected to 127\.0\.0\.1:\d+: connect ECONNREFUSED/);
  assert.equal(away, true);
});

for (const { name, config, says } of [
  { name: 'no conversation', config: {}, says: /^Slack conversation must be set!$/ },
  { name: 'no text', config: { conversation: CONVERSATION, messageTemplate: '' }, says: /^Message template must be set!$/ },
  { name: 'an unknown kind', config: { conversation: CONVERSATION, conversationType: 'HUDDLE' }, says: /^Can't convert value: / },
] as { name: string; config: Config; says: RegExp }[])
  test(`does not start: ${name}`, () => assert.rejects(external(slack, { config }), (cause: Error) => says.test(cause.message)));
