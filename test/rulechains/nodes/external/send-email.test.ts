import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import sendEmail from '#rulechains/nodes/external/send-email.ts';
import { type Certificates, makeCertificates } from '#test/support/certificates.ts';
import { external, sendAll } from '#test/support/external.ts';
import { message } from '#test/support/message.ts';
import { freePort } from '#test/support/servers.ts';
import type { World } from '#test/support/services.ts';
import { start } from '#test/support/services.ts';

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly user: string | undefined;
  readonly secure: boolean;
  readonly raw: string;
}

let certificates: Certificates;
const trusted = getCACertificates('default');
before(() => {
  certificates = makeCertificates();
  setDefaultCACertificates([...trusted, certificates.ca]);
});
after(() => {
  setDefaultCACertificates(trusted);
  certificates?.close();
});

/** An SMTP server for one test; what it took is in `received`. */
async function withSmtp(
  options: SMTPServerOptions,
  run: (settings: { smtpHost: string; smtpPort: number; useSystemSmtpSettings: boolean }, received: Received[]) => Promise<void>,
): Promise<void> {
  const received: Received[] = [];
  const server = new SMTPServer({
    disabledCommands: options.onAuth ? [] : ['AUTH'],
    authOptional: !options.onAuth,
    ...options,
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          user: session.user as string | undefined,
          secure: session.secure,
          raw: Buffer.concat(chunks).toString(),
        });
        callback();
      });
    },
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run({ smtpHost: '127.0.0.1', smtpPort: (server.server.address() as AddressInfo).port, useSystemSmtpSettings: false }, received);
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

const plain: SMTPServerOptions = { hideSTARTTLS: true };
const email = (data: object = {}, fields: object = {}) =>
  message({ type: 'SEND_EMAIL', data: { from: 'me@plant.example', to: 'you@plant.example', subject: 's', body: 'b', ...data }, ...fields });

for (const { name, at, error } of [
  {
    name: 'a message of another type',
    at: message({ data: { to: 'a@b' } }),
    error: 'Not expected msg type POST_TELEMETRY_REQUEST for SendEmail Node',
  },
  { name: 'to nobody', at: email({ to: '' }), error: 'Email destination can not be blank []' },
  { name: 'to blanks', at: email({ to: '  ' }), error: 'Email destination can not be blank [  ]' },
  { name: 'to null', at: email({ to: null }), error: 'Email destination can not be blank [null]' },
  { name: 'no to', at: message({ type: 'SEND_EMAIL' }), error: 'Email destination can not be blank [null]' },
  {
    name: 'no JSON',
    at: message({ type: 'SEND_EMAIL', data: 'hello' }),
    error: 'The given string value cannot be transformed to Json object: hello',
  },
  {
    name: 'an array',
    at: message({ type: 'SEND_EMAIL', data: '[]' }),
    error: 'The given string value cannot be transformed to Json object: []',
  },
  { name: 'a file that does not exist', at: email({ attachments: ['f1'] }), error: 'Attachment [f1] is not found!' },
])
  test(`send email: ${name}`, async () => {
    const world = { settings: { mail: { smtpHost: '127.0.0.1', smtpPort: '1' } } };
    assert.deepEqual(await sendAll(sendEmail, [at], { world }), [{ to: 'Failure', error, away: false }]);
  });

test('send email: text, several addresses', () =>
  withSmtp(plain, async (config, received) => {
    const messages = [
      email({
        to: 'a@x.example, b@x.example',
        cc: 'c@x.example',
        bcc: 'd@x.example,',
        subject: 'Übertemperatur',
        body: 'line 1\nline 2',
        html: false,
      }),
      email({ from: null, cc: null, bcc: '', images: null, html: null }),
    ];
    assert.deepEqual(await sendAll(sendEmail, messages, { config }), ['Success', 'Success']);
    const [first, second] = received as [Received, Received];
    assert.deepEqual([first.from, first.to], ['me@plant.example', ['a@x.example', 'b@x.example', 'c@x.example', 'd@x.example']]);
    assert.match(first.raw, /^To: a@x\.example, b@x\.example\r$/m);
    assert.match(first.raw, /^Cc: c@x\.example\r$/m);
    assert.doesNotMatch(first.raw, /d@x\.example/);
    assert.match(first.raw, /^Subject: =\?UTF-8\?Q\?=C3=9Cbertemperatur\?=\r$/m);
    assert.match(first.raw, /^Content-Type: text\/plain; charset=utf-8\r$/m);
    assert.match(first.raw, /\r\n\r\nline 1\r\nline 2\r\n$/);
    assert.deepEqual([second.from, second.to], ['', ['you@plant.example']]);
  }));

test('send email: HTML with images, and files that the metadata of the message names', () =>
  withSmtp(plain, async (config, received) => {
    const file = {
      collection: 'BLOB_ENTITY',
      name: 'report.pdf',
      body: { data: Buffer.from('PDF!').toString('base64'), contentType: 'application/pdf' },
    };
    const world = { docs: { f1: file } } as unknown as World;
    const images = { chart: 'data:image/png;base64,iVBORw==', 'raw.gif': 'R0lG' };
    const at = email({ html: true, body: '<img src="cid:chart">', images }, { metadata: { attachments: 'f1, f1' } });
    assert.deepEqual(await sendAll(sendEmail, [at], { config, world }), ['Success']);
    const { raw } = received[0]!;
    assert.match(raw, /Content-Type: text\/html; charset=utf-8\r\n[\s\S]*<img src=3D"cid:chart">|<img src="cid:chart">/);
    assert.match(raw, /Content-Type: image\/png; name=chart\r\nContent-ID: <chart>\r\n[\s\S]*?iVBORw==/);
    assert.match(raw, /Content-Type: image\/gif; name=raw.gif\r\nContent-ID: <raw.gif>\r\n[\s\S]*?R0lG/);
    assert.equal(raw.match(/Content-Type: application\/pdf; name=report.pdf\r\n[\s\S]*?UERGIQ==/g)?.length, 1);
  }));

test('send email: text that looks like a path or an address is sent as it is', () =>
  withSmtp(plain, async (config, received) => {
    assert.deepEqual(await sendAll(sendEmail, [email({ body: '/etc/passwd', html: true })], { config }), ['Success']);
    assert.match(received[0]!.raw, /\r\n\r\n\/etc\/passwd\r\n$/);
  }));

const onAuth: SMTPServerOptions['onAuth'] = ({ username, password }, _session, callback) =>
  password === 'right' ? callback(null, { user: username }) : callback(new Error('Invalid username or password'));

test('send email: STARTTLS and a login; a wrong one, and a server without TLS, are waited for', async () => {
  const tls = () => ({ ...certificates.server, onAuth });
  await withSmtp(tls(), async (config, received) => {
    const login = { ...config, enableTls: true, username: 'me', password: 'right' };
    assert.deepEqual(await sendAll(sendEmail, [email()], { config: login }), ['Success']);
    assert.deepEqual([received[0]!.user, received[0]!.secure], ['me', true]);
    const [wrong] = await sendAll(sendEmail, [email()], { config: { ...login, password: 'wrong' } });
    assert.partialDeepStrictEqual(wrong, { to: 'Failure', away: true });
  });
  await withSmtp(plain, async (config) => {
    const [open] = await sendAll(sendEmail, [email()], { config: { ...config, enableTls: true } });
    assert.partialDeepStrictEqual(open, { to: 'Failure', away: true });
  });
});

test('send email: TLS from the first byte; a certificate that nobody vouches for is refused', async () => {
  await withSmtp({ ...certificates.server, secure: true }, async (config, received) => {
    assert.deepEqual(await sendAll(sendEmail, [email()], { config: { ...config, smtpProtocol: 'smtps' } }), ['Success']);
    assert.equal(received[0]!.secure, true);
    setDefaultCACertificates(trusted);
    try {
      const [refused] = await sendAll(sendEmail, [email()], { config: { ...config, smtpProtocol: 'smtps' } });
      assert.partialDeepStrictEqual(refused, { to: 'Failure', away: true });
    } finally {
      setDefaultCACertificates([...trusted, certificates.ca]);
    }
  });
});

test('send email: through a proxy that asks for a login', async () => {
  const asked: (string | undefined)[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, client) => {
    asked.push(`${request.url} ${Buffer.from(request.headers['proxy-authorization']?.slice(6) ?? '', 'base64')}`);
    const [host, port] = request.url!.split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on('error', () => client.destroy());
    client.on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    await withSmtp(plain, async (config, received) => {
      const proxyPort = String((proxy.address() as AddressInfo).port);
      const through = { ...config, enableProxy: true, proxyHost: '127.0.0.1', proxyPort, proxyUser: 'u@x', proxyPassword: 'p:1' };
      assert.deepEqual(await sendAll(sendEmail, [email()], { config: through }), ['Success']);
      assert.deepEqual([asked, received.length], [[`127.0.0.1:${config.smtpPort} u@x:p:1`], 1]);
    });
  } finally {
    proxy.close();
  }
});

test('send email: settings of the system, and those that replace them while the node runs', async () => {
  await withSmtp(plain, (first, firstReceived) =>
    withSmtp(plain, async (second, secondReceived) => {
      const mailOf = (port: number) => ({
        mailFrom: 'Plant <system@plant.example>',
        smtpProtocol: 'smtp',
        smtpHost: '127.0.0.1',
        smtpPort: String(port),
        timeout: '1000',
        enableTls: 'false',
      });
      const settings: Record<string, Record<string, unknown>> = {};
      const node = await external(sendEmail, { world: { settings } });
      try {
        assert.deepEqual(await node.send(email({ from: '' })), { to: 'Failure', error: 'Mail settings are not configured', away: true });
        settings['mail'] = mailOf(first.smtpPort);
        assert.equal(await node.send(email({ from: '' })), 'Success');
        settings['mail'] = mailOf(second.smtpPort);
        assert.equal(await node.send(email()), 'Success');
      } finally {
        node.stop();
      }
      assert.deepEqual(
        [...firstReceived, ...secondReceived].map(({ from }) => from),
        ['system@plant.example', 'me@plant.example'],
      );
    }),
  );
});

for (const { name, code, away } of [
  { name: 'a server that asks to come later', code: 451, away: true },
  { name: 'an address that it does not take', code: 550, away: false },
])
  test(`send email: ${name}`, () =>
    withSmtp({ ...plain, onRcptTo: (_, __, callback) => callback(Object.assign(new Error('no'), { responseCode: code })) }, async (config) =>
      assert.partialDeepStrictEqual((await sendAll(sendEmail, [email()], { config }))[0], { to: 'Failure', away }),
    ));

test('send email: a server that is not there is waited for, and found when it is', async () => {
  const smtpPort = await freePort();
  const node = await external(sendEmail, { config: { useSystemSmtpSettings: false, smtpHost: '127.0.0.1', smtpPort } });
  const server = new SMTPServer({ ...plain, disabledCommands: ['AUTH'], onData: (stream, _, callback) => void stream.resume().on('end', callback) });
  try {
    assert.deepEqual(await node.send(email()), { to: 'Failure', error: `connect ECONNREFUSED 127.0.0.1:${smtpPort}`, away: true });
    await new Promise<void>((resolve) => server.listen(smtpPort, '127.0.0.1', resolve));
    assert.equal(await node.send(email()), 'Success');
  } finally {
    node.stop();
    server.close(() => {});
  }
});

for (const { name, config, error } of [
  { name: 'no host', config: { smtpHost: '' }, error: 'Invalid mail settings: smtpHost is not set' },
  { name: 'a protocol', config: { smtpProtocol: 'imap' }, error: "Invalid mail settings: smtpProtocol is 'imap'" },
  { name: 'a proxy port', config: { enableProxy: true, proxyPort: 'x' }, error: "Invalid mail settings: proxyPort is 'x'" },
])
  test(`send email does not start: ${name}`, () =>
    assert.rejects(start(sendEmail, { config: { useSystemSmtpSettings: false, ...config } }), { message: error }));
