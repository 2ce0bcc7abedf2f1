import { Type } from 'typebox';
import { isPassing } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { undelivered } from './broker.ts';
import { nullable } from './fields.ts';
import { plainTextOf } from './plain-text.ts';
import { checkNumber } from './sms.ts';
import { openTwilio, recipients, type Twilio } from './twilio.ts';

/** What "twilio sms" and "twilio voice" have in common (rule-nodes §3.8). */

export const twilioFields = {
  numberFrom: nullable(Type.String(), { title: 'From', description: 'Pattern; E.164, or the SID of a messaging service.' }),
  numbersTo: nullable(Type.String(), { title: 'To', description: 'Pattern; E.164, several with commas between them.' }),
  accountSid: nullable(Type.String(), { title: 'Account SID', description: 'Of the account at Twilio.' }),
  accountToken: nullable(Type.String(), { title: 'Account token', description: 'Of the account.', control: 'password' }),
};

export const TWILIO_DEFAULTS = { numberFrom: null, numbersTo: null, accountSid: null, accountToken: null };

/** Their Java package is not public: files may hold any of these. */
export const twilioTypes = (name: string): { type: string; aliases: string[] } => {
  const [type = '', ...aliases] = [
    'twilio.',
    `twilio.${name.includes('Sms') ? 'sms' : 'voice'}.`,
    'external.',
    'sms.',
    'action.',
    'transform.',
    '',
  ].map((folder) => `org.thingsboard.rule.engine.${folder}${name}`);
  return { type, aliases };
};

export interface TwilioState {
  readonly twilio: Twilio;
  readonly each: ReturnType<typeof recipients>;
}

interface TwilioConfig {
  readonly numberFrom: string | null;
  readonly numbersTo: string | null;
  readonly accountSid: string | null;
  readonly accountToken: string | null;
}

/** @throws Error naming what is not set. */
export function startTwilio(config: TwilioConfig, url?: string): TwilioState {
  for (const key of ['numberFrom', 'numbersTo', 'accountSid', 'accountToken'] as const)
    if (!config[key]?.trim()) throw new Error(`${key} must be set!`);
  return {
    twilio: openTwilio({ sid: config.accountSid!.trim(), token: config.accountToken!.trim(), ...(url !== undefined && { url }) }),
    each: recipients(),
  };
}

export interface Order {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

/** @throws Error for a number that is none. */
export const orderOf = (message: Message, { numberFrom, numbersTo }: Pick<TwilioConfig, 'numberFrom' | 'numbersTo'>): Order => ({
  from: fillPattern(numberFrom ?? '', message).trim(),
  to: fillPattern(numbersTo ?? '', message)
    .split(',')
    .map(checkNumber),
  text: plainTextOf(message.data),
});

/** One resource for each number. */
export async function createEach(
  message: Message,
  config: TwilioConfig,
  { twilio, each }: TwilioState,
  signal: AbortSignal,
  create: { readonly resource: string; readonly failure: string; form(order: Order, number: string): Record<string, string> },
): Promise<string | Emission> {
  try {
    const order = orderOf(message, config);
    await each(message.id, order.to, (number) => twilio.create(create.resource, create.form(order, number), create.failure, signal));
    return 'Success';
  } catch (cause) {
    return undelivered(message, cause, isPassing(cause));
  }
}
