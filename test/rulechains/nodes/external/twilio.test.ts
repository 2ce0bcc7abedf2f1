import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import fastify, { type FastifyInstance } from 'fastify';
import type { AnyNode } from '#engine/node.ts';
import { Registry } from '#engine/registry.ts';
import { nodes } from '#rulechains/index.ts';
import { twilioSms } from '#rulechains/nodes/external/twilio-sms.ts';
import { twilioVoice } from '#rulechains/nodes/external/twilio-voice.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';

/** A stand-in for Twilio's REST interface of 2010-04-01: resources Messages and Calls of an account. */
let standIn: FastifyInstance;
let url: string;
const came: Record<string, string>[] = [];
/** Numbers that are answered with an error. */
const troubles = new Map<string, { status: number; message: string }>();

before(async () => {
  standIn = fastify();
  standIn.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  standIn.post('/2010-04-01/Accounts/AC1/:resource', async ({ headers, params, body }, reply) => {
    if (headers.authorization !== `Basic ${Buffer.from('AC1:secret').toString('base64')}`)
      return reply.code(401).send({ code: 20003, message: 'Authenticate' });
    const form = Object.fromEntries(new URLSearchParams(body as string));
    const trouble = troubles.get(form['To']!);
    if (trouble) return reply.code(trouble.status).send({ code: 1, message: trouble.message });
    came.push({ resource: (params as { resource: string }).resource, ...form });
    return reply.code(201).send({ sid: 'SM1', status: 'queued' });
  });
  url = await standIn.listen({ host: '127.0.0.1', port: 0 });
});
after(() => standIn.close());

type Config = Record<string, unknown>;
const ACCOUNT = { numberFrom: '+15550100', numbersTo: '${phone}, +15550103', accountSid: 'AC1', accountToken: 'secret' };
const given = message({ data: '"Too hot: \\"42\\"\\n& rising"', metadata: { phone: '+15550102' } });

async function sent(node: AnyNode, config: Config = {}, what = given) {
  came.length = 0;
  troubles.clear();
  return { outcomes: await sendAll(node, [what], { config: { ...ACCOUNT, ...config } }), came: [...came] };
}

test('an SMS to each number; the text is the data without its quotes', async () => {
  const { outcomes, came } = await sent(twilioSms(url));
  const sms = { resource: 'Messages.json', From: '+15550100', Body: 'Too hot: "42"\n& rising' };
  assert.deepEqual(
    [outcomes, came],
    [
      ['Success'],
      [
        { ...sms, To: '+15550102' },
        { ...sms, To: '+15550103' },
      ],
    ],
  );
});

test('an SMS by a messaging service; data that is an object', async () => {
  const numberFrom = `MG${'0'.repeat(32)}`;
  const { came } = await sent(twilioSms(url), { numberFrom, numbersTo: '+15550103' }, message({ data: { a: 1 } }));
  assert.deepEqual(came, [{ resource: 'Messages.json', To: '+15550103', MessagingServiceSid: numberFrom, Body: '{"a":1}' }]);
});

const XML = '<?xml version="1.0" encoding="UTF-8"?>';
const TEXT = 'Too hot: &quot;42&quot;\n&amp; rising';
for (const { name, config, twiml } of [
  { name: 'the basic voice', config: {}, twiml: `${XML}<Response><Say>${TEXT}</Say></Response>` },
  {
    name: 'basic voices know no SSML',
    config: { voice: 'woman', language: 'de-DE', rate: 80 },
    twiml: `${XML}<Response><Say voice="woman" language="de-DE">${TEXT}</Say></Response>`,
  },
  {
    name: 'a voice of Polly with everything',
    config: { provider: 'Amazon Polly', language: 'en-US', voice: 'Joanna', pitch: 90, rate: 120, volume: 6, startPause: 2 },
    twiml: `${XML}<Response><Pause length="2"/><Say voice="Polly.Joanna" language="en-US"><prosody pitch="-10%" rate="120%" volume="+6dB">${TEXT}</prosody></Say></Response>`,
  },
  {
    name: 'a voice that has its provider in its name',
    config: { provider: 'Google', voice: 'Google.en-GB-Wavenet-A' },
    twiml: `${XML}<Response><Say voice="Google.en-GB-Wavenet-A">${TEXT}</Say></Response>`,
  },
] as { name: string; config: Config; twiml: string }[])
  test(`a call: ${name}`, async () => {
    const { outcomes, came } = await sent(twilioVoice(url), { numbersTo: '${phone}', ...config });
    assert.deepEqual([outcomes, came], [['Success'], [{ resource: 'Calls.json', To: '+15550102', From: '+15550100', Twiml: twiml }]]);
  });

test('tried again, those who have it are passed over', async () => {
  came.length = 0;
  troubles.set('+15550103', { status: 503, message: 'Service unavailable' });
  const node = await external(twilioSms(url), { config: ACCOUNT });
  const first = (await node.send(given)) as { error: string; away: boolean };
  troubles.clear();
  const second = await node.send(given);
  node.stop();
  assert.deepEqual([first.error, first.away, second], ['Failed to send SMS message - Service unavailable', true, 'Success']);
  assert.deepEqual(
    came.map(({ To }) => To),
    ['+15550102', '+15550103'],
  );
});

for (const { name, node, config, data = given, trouble, error, away = false } of [
  { name: 'a wrong token', node: twilioSms, config: { accountToken: 'x' }, error: 'Failed to send SMS message - Authenticate', away: true },
  { name: 'a number that Twilio refuses', node: twilioVoice, config: {}, trouble: 400, error: 'Failed to call - no', away: false },
  { name: 'too many', node: twilioVoice, config: {}, trouble: 429, error: 'Failed to call - no', away: true },
  {
    name: 'a number that is none',
    node: twilioSms,
    config: { numbersTo: '+15550103,${nobody}' },
    error: 'Invalid phone number format. Phone number must be in E.164 format.',
  },
  { name: 'data that is no JSON', node: twilioSms, config: {}, data: message({ data: 'hot' }), error: 'Failed to process pattern!' },
] as { name: string; node: typeof twilioSms; config: Config; data?: typeof given; trouble?: number; error: string; away?: boolean }[])
  test(`failure: ${name}`, async () => {
    troubles.clear();
    came.length = 0;
    if (trouble) troubles.set('+15550102', { status: trouble, message: 'no' });
    const [outcome] = await sendAll(node(url) as AnyNode, [data], { config: { ...ACCOUNT, ...config } });
    const { metadata: _metadata, ...rest } = outcome as Config;
    assert.deepEqual([rest, came], [{ to: 'Failure', error, away }, []]);
  });

test('neither starts without its account; preview says what would be sent', async () => {
  await assert.rejects(external(twilioSms(url), { config: { ...ACCOUNT, accountSid: '' } }), { message: 'accountSid must be set!' });
  await assert.rejects(external(twilioVoice(url)), { message: 'numberFrom must be set!' });
  const config = { ...twilioVoice().defaults, ...ACCOUNT } as never;
  assert.deepEqual(twilioVoice().preview!(given, config), {
    from: '+15550100',
    to: ['+15550102', '+15550103'],
    text: 'Too hot: "42"\n& rising',
    twiml: `${XML}<Response><Say>${TEXT}</Say></Response>`,
  });
});

test('found under each class name that files may hold', () => {
  const registry = new Registry(nodes);
  for (const name of ['external.TbTwilioSmsNode', 'sms.TbTwilioSmsNode', 'twilio.sms.TbTwilioSmsNode'])
    assert.equal(registry.get(`org.thingsboard.rule.engine.${name}`)?.label, 'twilio sms');
  assert.equal(registry.get('org.thingsboard.rule.engine.twilio.voice.TbTwilioVoiceNode')?.label, 'twilio voice');
});
