import type { Transporter } from 'nodemailer';
import { type Static, Type } from 'typebox';
import { AppError, errorText, isPassing } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import { defineNode, type Emission, type SendContext } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { unlessAborted } from '../../shared/broker.ts';
import { type Connection, connection } from '../../shared/connection.ts';
import { nullable } from '../../shared/fields.ts';
import { type Attachment, type Email, isMailAway, mailOf, openSmtp, readEmail, smtpSettings } from '../../shared/mail.ts';

const SendEmail = Config({
  useSystemSmtpSettings: Type.Boolean({ title: 'Settings of the system', description: 'Takes the mail settings of the system administrator.' }),
  smtpHost: nullable(Type.String(), { title: 'SMTP host', description: 'Name or address of the server.' }),
  smtpPort: Type.Integer({ title: 'SMTP port', description: 'Usually 25, 465 (smtps) or 587 (TLS).' }),
  username: nullable(Type.String(), { title: 'User', description: 'Empty: no login.' }),
  password: nullable(Type.String(), { title: 'Password', description: 'Kept in the chain, and in what is exported of it.', secret: true }),
  smtpProtocol: nullable(Type.String(), { title: 'Protocol', description: 'smtps encrypts from the first byte.', examples: ['smtp', 'smtps'] }),
  timeout: Type.Integer({ title: 'Timeout', description: 'To connect, and between two answers.', unit: 'ms', advanced: true }),
  enableTls: Type.Boolean({ title: 'TLS', description: 'Encrypts after the greeting (STARTTLS); a server that can not is refused.' }),
  tlsVersion: nullable(Type.String(), { title: 'TLS version', description: 'The lowest that is taken.', examples: ['TLSv1.2', 'TLSv1.3'] }),
  enableProxy: Type.Boolean({ title: 'Proxy', description: 'Goes through an HTTP proxy (CONNECT).', advanced: true }),
  proxyHost: nullable(Type.String(), { title: 'Proxy host', description: 'Name or address of the proxy.', advanced: true }),
  proxyPort: nullable(Type.String(), { title: 'Proxy port', description: 'A number, as text.', advanced: true }),
  proxyUser: nullable(Type.String(), { title: 'Proxy user', description: 'Empty: no login.', advanced: true }),
  proxyPassword: nullable(Type.String(), {
    title: 'Proxy password',
    description: 'Kept in the chain, and in what is exported of it.',
    secret: true,
    advanced: true,
  }),
});

/** The system's settings may change while the node runs. */
interface State {
  key: string;
  server: Connection<Transporter> | null;
}
type Context = SendContext<Static<typeof SendEmail>, State>;

/** The message passes as it is, also to Failure. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.mail.TbSendEmailNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'send email',
  summary: 'Sends the email that "to email" made of a message.',
  relations: ['Success'],
  effect: true,
  config: SendEmail,
  defaults: {
    useSystemSmtpSettings: true,
    smtpHost: 'localhost',
    smtpPort: 25,
    username: null,
    password: null,
    smtpProtocol: 'smtp',
    timeout: 10000,
    enableTls: false,
    tlsVersion: 'TLSv1.2',
    enableProxy: false,
    proxyHost: null,
    proxyPort: null,
    proxyUser: null,
    proxyPassword: null,
  },
  start({ config }): State {
    if (!config.useSystemSmtpSettings) smtpSettings(config);
    return { key: '', server: null };
  },
  stop: ({ server }) => server?.stop(),
  parallel: () => 4,
  async send(message, context): Promise<string | Emission> {
    try {
      const email = emailOf(message);
      const stored = context.config.useSystemSmtpSettings ? await context.settings.find('mail') : context.config;
      if (!stored) throw new AppError('mail-settings', 'later', 'Mail settings are not configured');
      const server = serverOf(context.state, stored);
      const mail = mailOf(email, String((stored as Record<string, unknown>)['mailFrom'] ?? ''), await attachmentsOf(email, message, context));
      const transport = await server.use(context.signal);
      await unlessAborted(transport.sendMail(mail), context.signal);
      return 'Success';
    } catch (cause) {
      return { to: 'Failure', error: errorText(cause), away: isPassing(cause) || isMailAway(cause) };
    }
  },
  preview: (message) => ({ ...emailOf(message) }),
});

function emailOf(message: Message): Email {
  if (message.type !== 'SEND_EMAIL') throw new Error(`Not expected msg type ${message.type} for SendEmail Node`);
  return readEmail(message.data);
}

function serverOf(state: State, stored: Readonly<Record<string, unknown>>): Connection<Transporter> {
  const key = JSON.stringify(stored);
  if (state.server && state.key === key) return state.server;
  const settings = smtpSettings(stored);
  state.server?.stop();
  state.key = key;
  state.server = connection(
    () => openSmtp(settings),
    (transport) => transport.close(),
  );
  return state.server;
}

/** Files that the email, or the metadata of its message (a report before it), names by their ids. */
async function attachmentsOf(email: Email, message: Message, { entities }: Context): Promise<Attachment[]> {
  const ids = [...email.attachments, ...(message.metadata['attachments'] ?? '').split(',').map((id) => id.trim())].filter((id) => id !== '');
  return Promise.all(
    [...new Set(ids)].map(async (id) => {
      const file = await entities.find({ entityType: 'BLOB_ENTITY', id });
      const { data, contentType } = file?.body ?? {};
      if (!file || typeof data !== 'string') throw new Error(`Attachment [${id}] is not found!`);
      return { filename: file.name, content: Buffer.from(data, 'base64'), contentType: typeof contentType === 'string' ? contentType : undefined };
    }),
  );
}
