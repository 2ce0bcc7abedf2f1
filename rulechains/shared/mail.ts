import type { SendMailOptions, Transporter } from 'nodemailer';
import { isJsonObject, type Json, type JsonObject, parseJson, plainText } from '#engine/json.ts';
import { checkHost } from '#engine/outbound.ts';
import { isNetworkFault } from './broker.ts';

/** What "to email" makes and "send email" sends. */
export interface Email {
  readonly from: string | null;
  readonly to: string;
  readonly cc: string | null;
  readonly bcc: string | null;
  readonly subject: string | null;
  readonly body: string | null;
  readonly html: boolean;
  /** Content id → base64, with or without `data:TYPE;base64,` before it. */
  readonly images: Readonly<Record<string, string>>;
  /** Ids of stored files. */
  readonly attachments: readonly string[];
}

/** @throws Error in the original's words when it is no email, or goes to nobody. */
export function readEmail(text: string): Email {
  const refused = (cause?: unknown) => new Error(`The given string value cannot be transformed to Json object: ${text.slice(0, 1000)}`, { cause });
  let data: Json;
  try {
    data = parseJson(text);
  } catch (cause) {
    throw refused(cause);
  }
  if (!isJsonObject(data)) throw refused();
  const field = (key: string): string | null => textOf((data as JsonObject)[key] ?? null);
  const to = field('to');
  if (!to?.trim()) throw new Error(`Email destination can not be blank [${to}]`);
  const { images = null, attachments = null, html = null } = data;
  return {
    from: field('from'),
    to,
    cc: field('cc'),
    bcc: field('bcc'),
    subject: field('subject'),
    body: field('body'),
    html: html === true || html === 'true',
    images: isJsonObject(images) ? Object.fromEntries(Object.entries(images).map(([id, image]) => [id, textOf(image) ?? ''])) : {},
    attachments: Array.isArray(attachments) ? attachments.map(idOf) : [],
  };
}

const textOf = (value: Json): string | null => (value === null || Array.isArray(value) || isJsonObject(value) ? null : plainText(value));
const idOf = (value: Json): string => (isJsonObject(value) ? (textOf(value['id'] ?? null) ?? '') : (textOf(value) ?? ''));

export interface Attachment {
  readonly filename: string;
  readonly contentType: string | undefined;
  readonly content: Buffer;
}

const addresses = (list: string): string[] => list.split(',').flatMap((address) => address.trim() || []);

/** @param mailFrom for an email that names no sender. */
export function mailOf(email: Email, mailFrom: string, attachments: readonly Attachment[]): SendMailOptions {
  const images = email.html ? Object.entries(email.images) : [];
  return {
    from: email.from?.trim() || mailFrom,
    to: addresses(email.to),
    ...(email.cc?.trim() && { cc: addresses(email.cc) }),
    ...(email.bcc?.trim() && { bcc: addresses(email.bcc) }),
    subject: email.subject ?? '',
    ...(email.html ? { html: email.body ?? '' } : { text: email.body ?? '' }),
    attachments: [
      ...images.map(([cid, image]) => {
        const [, type, base64] = image.match(/^data:([^;,]*)[^,]*,(.*)$/s) ?? [null, undefined, image];
        return {
          cid,
          filename: cid,
          contentDisposition: 'inline' as const,
          content: Buffer.from(base64!, 'base64'),
          ...(type && { contentType: type }),
        };
      }),
      ...attachments,
    ],
    // What a message says is text: it names no file of this machine and no address to be fetched.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** The `mail` settings of the system, and the node's own under the same names. */
export interface SmtpSettings {
  readonly smtpProtocol: string;
  readonly smtpHost: string;
  readonly smtpPort: number;
  readonly username: string;
  readonly password: string;
  readonly timeout: number;
  readonly enableTls: boolean;
  readonly tlsVersion: string;
  readonly enableProxy: boolean;
  readonly proxyHost: string;
  readonly proxyPort: number;
  readonly proxyUser: string;
  readonly proxyPassword: string;
}

/** Settings as they are stored: numbers and flags may be texts. @throws Error naming what can not be used. */
export function smtpSettings(stored: Readonly<Record<string, unknown>>): SmtpSettings {
  const text = (key: string): string => (stored[key] === null || stored[key] === undefined ? '' : String(stored[key]));
  const flag = (key: string): boolean => text(key).toLowerCase() === 'true';
  const number = (key: string, fallback: number): number => {
    const value = text(key).trim() === '' ? fallback : Number(text(key));
    if (!Number.isInteger(value) || value < 0) throw new Error(`Invalid mail settings: ${key} is '${text(key)}'`);
    return value;
  };
  if (!text('smtpHost').trim()) throw new Error('Invalid mail settings: smtpHost is not set');
  const smtpProtocol = text('smtpProtocol').toLowerCase() || 'smtp';
  if (smtpProtocol !== 'smtp' && smtpProtocol !== 'smtps') throw new Error(`Invalid mail settings: smtpProtocol is '${smtpProtocol}'`);
  const enableProxy = flag('enableProxy');
  return {
    smtpProtocol,
    smtpHost: text('smtpHost').trim(),
    smtpPort: number('smtpPort', smtpProtocol === 'smtps' ? 465 : 25),
    username: text('username'),
    password: text('password'),
    timeout: number('timeout', 10_000) || 10_000,
    enableTls: flag('enableTls'),
    tlsVersion: text('tlsVersion'),
    enableProxy,
    proxyHost: text('proxyHost'),
    proxyPort: enableProxy ? number('proxyPort', 3128) : 0,
    proxyUser: text('proxyUser'),
    proxyPassword: text('proxyPassword'),
  };
}

const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** Connections are kept for the next emails. Who asks for TLS never sends without it: a server that does not offer it is refused. */
export async function openSmtp(settings: SmtpSettings): Promise<Transporter> {
  await checkHost(settings.enableProxy ? settings.proxyHost : settings.smtpHost);
  const { createTransport } = await import('nodemailer');
  const minVersion = TLS_VERSIONS.find((version) => version === settings.tlsVersion);
  const login = settings.proxyUser ? `${encodeURIComponent(settings.proxyUser)}:${encodeURIComponent(settings.proxyPassword)}@` : '';
  return createTransport({
    pool: true,
    maxConnections: 4,
    host: settings.smtpHost,
    port: settings.smtpPort,
    secure: settings.smtpProtocol === 'smtps',
    requireTLS: settings.enableTls,
    ignoreTLS: !settings.enableTls,
    connectionTimeout: settings.timeout,
    greetingTimeout: settings.timeout,
    socketTimeout: settings.timeout,
    ...(minVersion && { tls: { minVersion } }),
    ...(settings.username && { auth: { user: settings.username, pass: settings.password } }),
    ...(settings.enableProxy && { proxy: `http://${login}${settings.proxyHost}:${settings.proxyPort}` }),
  });
}

/** The server is not there, asks to come later (4xx), or does not take our login or our TLS. */
export function isMailAway(cause: unknown): boolean {
  const { code, responseCode = 0 } = (cause ?? {}) as { code?: string; responseCode?: number };
  if (code === 'EENVELOPE' || code === 'EMESSAGE') return responseCode >= 400 && responseCode < 500;
  return isNetworkFault(cause) || AWAY_CODES.has(code ?? '') || (responseCode >= 400 && responseCode < 500);
}
const AWAY_CODES = new Set(['EAUTH', 'ETLS', 'EREQUIRETLS', 'EPROXY', 'EPROTOCOL', 'ENOAUTH']);
