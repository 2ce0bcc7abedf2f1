import { AppError, ConfigError, errorText, isPassing, Refused, Rejected, Timeout } from '#engine/errors.ts';
import { awsOptions, isAwsAway } from './aws.ts';
import { connection } from './connection.ts';
import { openHttp } from './http.ts';
import { connectSmpp, type SmppSettings } from './smpp.ts';

/** The providers of SMS, as `smsProviderConfiguration` and the `sms` settings name them. */

export interface SmsSender {
  /** @param number E.164. @throws AppError: retry `later` and `reconnect` say that the provider is away. */
  send(number: string, text: string, signal: AbortSignal): Promise<void>;
  stop(): void;
}

type Provider = Readonly<Record<string, unknown>>;

export interface SmsOptions {
  readonly twilioUrl?: string;
}

const E164 = /^\+[1-9]\d{1,14}$/;

/** @throws Error when it is no number that the whole world knows. */
export function checkNumber(text: string): string {
  const number = text.trim();
  if (!E164.test(number)) throw new ConfigError('Invalid phone number format. Phone number must be in E.164 format.');
  return number;
}

/** @throws ConfigError when the configuration can not be used. */
export function openSms(provider: Provider, { twilioUrl = 'https://api.twilio.com' }: SmsOptions = {}): SmsSender {
  switch (provider['type']) {
    case 'TWILIO':
      return openTwilio(provider, twilioUrl);
    case 'AWS_SNS':
      return openSns(provider);
    case 'SMPP':
      return openSmpp(provider);
    default:
      throw new ConfigError(`Unknown SMS provider: ${String(provider['type'])}. Allowed values: AWS_SNS, TWILIO, SMPP`);
  }
}

const textOf = (provider: Provider, key: string): string => (typeof provider[key] === 'object' ? '' : String(provider[key] ?? '')).trim();

function required(provider: Provider, key: string): string {
  const text = textOf(provider, key);
  if (!text) throw new ConfigError(`SMS provider ${String(provider['type'])}: ${key} is not set`);
  return text;
}

/** Twilio's REST interface of 2010-04-01, resource Messages. */
function openTwilio(provider: Provider, baseUrl: string): SmsSender {
  const sid = required(provider, 'accountSid');
  const token = required(provider, 'accountToken');
  const from = required(provider, 'numberFrom');
  const http = openHttp();
  const headers: [string, string][] = [
    ['Authorization', `Basic ${Buffer.from(`${sid}:${token}`).toString('base64')}`],
    ['Content-Type', 'application/x-www-form-urlencoded'],
  ];
  // A messaging service has no number of its own.
  const sender: Record<string, string> = /^MG[0-9a-fA-F]{32}$/.test(from) ? { MessagingServiceSid: from } : { From: from };
  return {
    async send(number, text, signal) {
      const body = new URLSearchParams({ To: number, ...sender, Body: text }).toString();
      const url = `${baseUrl}/2010-04-01/Accounts/${encodeURIComponent(sid)}/Messages.json`;
      const answer = await http.request({ method: 'POST', url, headers, body, signal });
      if (answer.status >= 200 && answer.status < 300) return;
      const reason = `Failed to send SMS message - ${twilioReason(answer.body) ?? `status ${answer.status}`}`;
      if (answer.status === 401 || answer.status === 403) throw new Refused(reason);
      if (answer.status === 429 || answer.status >= 500) throw new Timeout(reason);
      throw new Rejected(reason);
    },
    stop: () => http.stop(),
  };
}

function twilioReason(body: string): string | null {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : null;
  } catch {
    return null;
  }
}

function openSns(provider: Provider): SmsSender {
  const options = awsOptions({
    accessKey: textOf(provider, 'accessKeyId'),
    secretKey: textOf(provider, 'secretAccessKey'),
    region: textOf(provider, 'region'),
  });
  const client = connection(
    async () => new (await import('@aws-sdk/client-sns')).SNSClient(options),
    (opened) => opened.destroy(),
  );
  return {
    async send(PhoneNumber, Message, signal) {
      const { PublishCommand } = await import('@aws-sdk/client-sns');
      try {
        await (await client.use(signal)).send(new PublishCommand({ PhoneNumber, Message }), { abortSignal: signal });
      } catch (cause) {
        throw new AppError('sms', isAwsAway(cause) || isPassing(cause) ? 'later' : 'never', `Failed to send SMS message - ${errorText(cause)}`, {
          cause,
        });
      }
    },
    stop: () => client.stop(),
  };
}

const BIND_TYPES = ['TX', 'RX', 'TRX'];

function openSmpp(provider: Provider): SmsSender {
  const number = (key: string, fallback: number): number => {
    const value = textOf(provider, key) === '' ? fallback : Number(textOf(provider, key));
    if (!Number.isInteger(value) || value < 0) throw new ConfigError(`SMS provider SMPP: ${key} is '${textOf(provider, key)}'`);
    return value;
  };
  const bindType = textOf(provider, 'bindType') || 'TX';
  if (!BIND_TYPES.includes(bindType)) throw new ConfigError(`SMS provider SMPP: bindType is '${bindType}'. Allowed values: ${BIND_TYPES.join(', ')}`);
  if (bindType === 'RX') throw new ConfigError('SMS provider SMPP: a receiver (bindType RX) can not send');
  const settings: SmppSettings = {
    host: required(provider, 'host'),
    port: number('port', 2775),
    systemId: required(provider, 'systemId'),
    password: textOf(provider, 'password'),
    systemType: textOf(provider, 'systemType'),
    protocolVersion: textOf(provider, 'protocolVersion') || '3.4',
    bindType,
    serviceType: textOf(provider, 'serviceType'),
    sourceAddress: textOf(provider, 'sourceAddress'),
    sourceTon: number('sourceTon', 5),
    sourceNpi: number('sourceNpi', 0),
    destinationTon: number('destinationTon', 5),
    destinationNpi: number('destinationNpi', 0),
    addressRange: textOf(provider, 'addressRange'),
    codingScheme: number('codingScheme', 0),
  };
  const gateway = connection(
    () => connectSmpp(settings),
    (session) => session.close(),
  );
  return {
    async send(number, text, signal) {
      const session = await gateway.use(signal);
      try {
        await session.submit(number, text);
      } finally {
        if (!session.isOpen) gateway.lost(session);
      }
    },
    stop: () => gateway.stop(),
  };
}
