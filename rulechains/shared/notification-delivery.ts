import type { Transporter } from 'nodemailer';
import { ConfigError } from '#engine/errors.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { type Connection, connection } from './connection.ts';
import { openHttp } from './http.ts';
import { mailOf, openSmtp, smtpSettings } from './mail.ts';
import { botTokenOf, postMessage, SLACK_URL } from './slack.ts';
import { checkNumber, openSms, type SmsSender } from './sms.ts';

/** The ways out of the notification centre, by the settings of the system as they are at that moment. */

export interface By {
  readonly settings: Services['settings'];
  readonly signal: AbortSignal;
}

export interface Delivery {
  email(to: string, subject: string, body: string, by: By): Promise<void>;
  sms(user: Doc, body: string, by: By): Promise<void>;
  slack(conversationId: string, body: string, by: By): Promise<void>;
  stop(): void;
}

export interface DeliveryOptions {
  readonly slackUrl?: string;
}

/** Opened when it is used first, and again when its settings are others. */
class BySettings<T> {
  readonly #open: (settings: Record<string, unknown>) => T;
  readonly #close: (opened: T) => void;
  #current: { readonly key: string; readonly opened: T } | null = null;

  constructor(open: (settings: Record<string, unknown>) => T, close: (opened: T) => void) {
    this.#open = open;
    this.#close = close;
  }
  get(settings: Record<string, unknown>): T {
    const key = JSON.stringify(settings);
    if (this.#current?.key === key) return this.#current.opened;
    const opened = this.#open(settings);
    this.stop();
    this.#current = { key, opened };
    return opened;
  }
  stop(): void {
    if (this.#current) this.#close(this.#current.opened);
    this.#current = null;
  }
}

export function openDelivery({ slackUrl = SLACK_URL }: DeliveryOptions = {}): Delivery {
  const smtp = new BySettings<Connection<Transporter>>(
    (stored) => {
      const read = smtpSettings(stored);
      return connection(
        () => openSmtp(read),
        (transport) => transport.close(),
      );
    },
    (server) => server.stop(),
  );
  const sms = new BySettings<SmsSender>(openSms, (sender) => sender.stop());
  const http = openHttp();
  const stored = async ({ settings }: By, key: string, name: string) => {
    const found = await settings.find(key);
    if (!found) throw new ConfigError(`${name} settings are not configured`);
    return found;
  };
  return {
    async email(to, subject, body, by) {
      const found = await stored(by, 'mail', 'Mail');
      const transport = await smtp.get(found).use(by.signal);
      const email = { from: null, to, cc: null, bcc: null, subject, body, html: true, images: {}, attachments: [] };
      await transport.sendMail(mailOf(email, String(found['mailFrom'] ?? ''), []));
    },
    async sms(user, body, by) {
      const phone = user.body['phone'];
      if (typeof phone !== 'string' || !phone.trim()) throw new ConfigError('Phone number is missing');
      await sms.get(await stored(by, 'sms', 'SMS')).send(checkNumber(phone), body, by.signal);
    },
    async slack(channel, text, by) {
      const token = botTokenOf(await stored(by, 'notifications', 'Notification'));
      if (token === null) throw new ConfigError('Slack token is missing');
      await postMessage(http, { url: slackUrl, token, channel, text }, by.signal);
    },
    stop() {
      smtp.stop();
      sms.stop();
      http.stop();
    },
  };
}
