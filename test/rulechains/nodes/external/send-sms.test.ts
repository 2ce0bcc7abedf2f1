import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import sendSms from '#rulechains/nodes/external/send-sms.ts';
import { checkNumber, openSms } from '#rulechains/shared/sms.ts';
import { startAws } from '#test/support/cloud.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { freePort, missing } from '#test/support/servers.ts';
import { start } from '#test/support/services.ts';

const TWILIO = { type: 'TWILIO', accountSid: 'AC1', accountToken: 'tok', numberFrom: '+15550001' };
const E164 = 'Invalid phone number format. Phone number must be in E.164 format.';
const { signal } = new AbortController();

for (const { provider, error } of [
  { provider: null, error: 'Unknown SMS provider: undefined. Allowed values: AWS_SNS, TWILIO, SMPP' },
  { provider: { ...TWILIO, accountToken: null }, error: 'SMS provider TWILIO: accountToken is not set' },
  { provider: { type: 'AWS_SNS', accessKeyId: 'a', region: 'us-east-1' }, error: 'Secret key cannot be null.' },
  { provider: { type: 'SMPP', systemId: 's' }, error: 'SMS provider SMPP: host is not set' },
  { provider: { type: 'SMPP', host: 'h', systemId: 's', port: 'x' }, error: "SMS provider SMPP: port is 'x'" },
  { provider: { type: 'SMPP', host: 'h', systemId: 's', bindType: 'RX' }, error: 'SMS provider SMPP: a receiver (bindType RX) can not send' },
])
  test(`send sms does not start: ${error}`, () =>
    assert.rejects(start(sendSms, { config: { useSystemSmsSettings: false, smsProviderConfiguration: provider } }), { message: error }));

for (const text of ['', 'abc', '15551', '+0155', '${userPhone}', '+1555123456789012'])
  test(`send sms: no number: '${text}'`, () => assert.throws(() => checkNumber(text), { message: E164 }));

test('send sms: settings of the system are waited for; data that is no JSON, and a number that is none, are failures', async () => {
  assert.deepEqual(await sendAll(sendSms, [message(), message({ data: '{' })], {}), [
    { to: 'Failure', error: 'Unable to send SMS: no SMS provider configured!', away: true },
    { to: 'Failure', error: 'Failed to process pattern!', away: false },
  ]);
  assert.deepEqual(await sendAll(sendSms, [message()], { world: { settings: { sms: TWILIO } } }), [{ to: 'Failure', error: E164, away: false }]);
});

/** Twilio's answer for each call, in order; what was asked. */
async function withTwilio(answers: readonly [status: number, body: string][], run: (url: string, asked: unknown[]) => Promise<void>): Promise<void> {
  const asked: unknown[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const login = Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64').toString();
    asked.push([request.method, request.url, login, Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()))]);
    const [status, body] = answers[asked.length - 1]!;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('send sms: Twilio gets a form with a login', () =>
  withTwilio(
    [
      [201, '{"sid":"SM1"}'],
      [201, '{"sid":"SM2"}'],
    ],
    async (twilioUrl, asked) => {
      const service = `MG${'0'.repeat(32)}`;
      for (const numberFrom of ['+15550001', service]) {
        const sender = openSms({ ...TWILIO, numberFrom }, { twilioUrl });
        await sender.send('+15550002', 'a & ü', signal);
        sender.stop();
      }
      const path = '/2010-04-01/Accounts/AC1/Messages.json';
      assert.deepEqual(asked, [
        ['POST', path, 'AC1:tok', { To: '+15550002', From: '+15550001', Body: 'a & ü' }],
        ['POST', path, 'AC1:tok', { To: '+15550002', MessagingServiceSid: service, Body: 'a & ü' }],
      ]);
    },
  ));

for (const { status, body, error, retry } of [
  { status: 400, body: '{"code":21211,"message":"not a valid phone number"}', error: 'not a valid phone number', retry: 'never' },
  { status: 404, body: '<html>', error: 'status 404', retry: 'never' },
  { status: 401, body: '{"message":"Authenticate"}', error: 'Authenticate', retry: 'reconnect' },
  { status: 429, body: '{"message":"Too Many Requests"}', error: 'Too Many Requests', retry: 'later' },
  { status: 503, body: '', error: 'status 503', retry: 'later' },
])
  test(`send sms: Twilio answers ${status}`, () =>
    withTwilio([[status, body]], async (twilioUrl) => {
      const sender = openSms(TWILIO, { twilioUrl });
      await assert.rejects(sender.send('+15550002', 'x', signal), { message: `Failed to send SMS message - ${error}`, retry });
      sender.stop();
    }));

/** The parts of npm's `smpp` that a gateway is made of. */
interface Gateway {
  listen(port: number, host: string, ready: () => void): void;
  close(): void;
  readonly sessions: { destroy(): void }[];
}
interface Submitted extends Record<string, unknown> {
  response(fields?: object): object;
}
interface GatewaySession {
  on(event: string, listener: (pdu: Submitted) => void): void;
  send(pdu: object): void;
}
const { default: smpp } = (await import('smpp' as string)) as { default: { createServer(accept: (session: GatewaySession) => void): Gateway } };

/** A gateway that answers each message by `status`, and keeps what it got. */
async function openGateway(
  port: number,
  status: (pdu: Submitted) => number,
): Promise<{ logins: object[]; messages: object[]; close(): void; drop(): void }> {
  const logins: object[] = [];
  const messages: object[] = [];
  const gateway = smpp.createServer((session) => {
    session.on('error', () => {});
    for (const bind of ['bind_transmitter', 'bind_transceiver'])
      session.on(bind, (pdu) => {
        logins.push([bind, pdu['system_id'], pdu['password'], pdu['system_type'], pdu['interface_version']]);
        session.send(pdu.response({ command_status: pdu['password'] === 'right' ? 0 : 0x0e }));
      });
    session.on('submit_sm', (pdu) => {
      const { message: text } = (pdu['short_message'] ?? {}) as { message?: string };
      messages.push([
        pdu['source_addr'],
        pdu['dest_addr_ton'],
        pdu['destination_addr'],
        pdu['data_coding'],
        text || String((pdu['message_payload'] as { message?: string })?.message),
      ]);
      session.send(pdu.response({ command_status: status(pdu), message_id: '1' }));
    });
    session.on('unbind', (pdu) => session.send(pdu.response()));
  });
  await new Promise<void>((resolve) => gateway.listen(port, '127.0.0.1', resolve));
  const drop = () => gateway.sessions.slice().forEach((session) => void session.destroy());
  return {
    logins,
    messages,
    drop,
    close() {
      drop();
      gateway.close();
    },
  };
}

const smppConfig = (port: number, more: object = {}) => ({
  useSystemSmsSettings: false,
  numbersToTemplate: '${to}',
  smsMessageTemplate: '$[text]',
  smsProviderConfiguration: {
    type: 'SMPP',
    host: '127.0.0.1',
    port,
    systemId: 'me',
    password: 'right',
    systemType: 'st',
    sourceAddress: 'Plant',
    ...more,
  },
});

test('send sms: SMPP: alphabets, several numbers, one session, a gateway that drops it', async () => {
  const port = await freePort();
  const gateway = await openGateway(port, () => 0);
  const node = await external(sendSms, { config: smppConfig(port, { destinationTon: 1, bindType: 'TRX' }) });
  try {
    const long = 'x'.repeat(300);
    for (const text of ['plain @£', 'Привет', long])
      assert.equal(await node.send(message({ data: { text }, metadata: { to: '+15551' } })), 'Success');
    gateway.drop();
    const several = message({ data: { text: 'all' }, metadata: { to: '+15551, +15552' } });
    let outcome = await node.send(several);
    for (let tries = 0; outcome !== 'Success' && tries < 20; tries++) outcome = await node.send(several);
    assert.equal(outcome, 'Success');
    assert.deepEqual(gateway.messages, [
      ['Plant', 1, '+15551', 0, 'plain @£'],
      ['Plant', 1, '+15551', 8, 'Привет'],
      ['Plant', 1, '+15551', 0, long],
      ['Plant', 1, '+15551', 0, 'all'],
      ['Plant', 1, '+15552', 0, 'all'],
    ]);
    assert.deepEqual(gateway.logins, [
      ['bind_transceiver', 'me', 'right', 'st', 0x34],
      ['bind_transceiver', 'me', 'right', 'st', 0x34],
    ]);
  } finally {
    node.stop();
    gateway.close();
  }
});

test('send sms: SMPP: who has the SMS does not get it again because another number was refused for now', async () => {
  const port = await freePort();
  let busy = true;
  const gateway = await openGateway(port, (pdu) => (busy && pdu['destination_addr'] === '+15552' ? 0x58 : 0));
  const node = await external(sendSms, { config: smppConfig(port) });
  try {
    const at = message({ data: { text: 'x' }, metadata: { to: '+15551,+15552' } });
    const peer = `smpp://127.0.0.1:${port}`;
    assert.deepEqual(await node.send(at), { to: 'Failure', error: `${peer} asks to come later: ESME_RTHROTTLED`, away: true });
    busy = false;
    assert.equal(await node.send(at), 'Success');
    assert.deepEqual(
      gateway.messages.map((each) => (each as string[])[2]),
      ['+15551', '+15552', '+15552'],
    );
  } finally {
    node.stop();
    gateway.close();
  }
});

test('send sms: SMPP: a message that is refused, a login that is refused, a gateway that is not there', async () => {
  const port = await freePort();
  const at = message({ data: { text: 'x' }, metadata: { to: '+15551' } });
  assert.partialDeepStrictEqual((await sendAll(sendSms, [at], { config: smppConfig(port) }))[0], { to: 'Failure', away: true });
  const gateway = await openGateway(port, () => 0x0b);
  const peer = `smpp://127.0.0.1:${port}`;
  try {
    assert.deepEqual(await sendAll(sendSms, [at], { config: smppConfig(port) }), [
      { to: 'Failure', error: `${peer} refused the message: ESME_RINVDSTADR`, away: false },
    ]);
    assert.deepEqual(await sendAll(sendSms, [at], { config: smppConfig(port, { password: 'wrong' }) }), [
      { to: 'Failure', error: `${peer} refused the login: ESME_RINVPASWD`, away: true },
    ]);
  } finally {
    gateway.close();
  }
});

test('send sms: AWS SNS, by the settings of the system', { skip: missing('aws') }, async () => {
  const server = await startAws();
  process.env['AWS_ENDPOINT_URL'] = server.url;
  try {
    const sms = { type: 'AWS_SNS', accessKeyId: 'a', secretAccessKey: 'b', region: 'us-east-1' };
    const config = { numbersToTemplate: '${to}', smsMessageTemplate: 'x' };
    const node = await external(sendSms, { config, world: { settings: { sms } } });
    assert.equal(await node.send(message({ metadata: { to: '+15551234567' } })), 'Success');
    await server.kill();
    assert.partialDeepStrictEqual(await node.send(message({ metadata: { to: '+15551234567' } })), { to: 'Failure', away: true });
    node.stop();
  } finally {
    delete process.env['AWS_ENDPOINT_URL'];
    await server.close();
  }
});
