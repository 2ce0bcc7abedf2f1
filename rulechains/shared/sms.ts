import { AppError, ConfigError, errorText, isPassing } from '#engine/errors.ts';
import { awsOptions, isAwsAway } from './aws.ts';
import { connection } from './connection.ts';
import { connectSmpp, type SmppSettings } from './smpp.ts';
import { openTwilio, senderOf, TWILIO_URL } from './twilio.ts';

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
export function openSms(provider: Provider, { twilioUrl = TWILIO_URL }: SmsOptions = {}): SmsSender {
  switch (provider['type']) {
    case 'TWILIO':
      return openTwilioSms(provider, twilioUrl);
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

function openTwilioSms(provider: Provider, url: string): SmsSender {
  const from = required(provider, 'numberFrom');
  const twilio = openTwilio({ sid: required(provider, 'accountSid'), token: required(provider, 'accountToken'), url });
  return {
    send: (To, Body, signal) => twilio.create('Messages', { To, ...senderOf(from), Body }, 'Failed to send SMS message', signal),
    stop: () => twilio.stop(),
  };
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
