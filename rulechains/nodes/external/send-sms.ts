import { Type } from 'typebox';
import { AppError, errorText, isPassing } from '#engine/errors.ts';
import { defineNode, type Emission } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { checkNumber, openSms, type SmsSender } from '../../shared/sms.ts';

/** The system's settings may change while the node runs. */
interface State {
  key: string;
  sender: SmsSender | null;
  /** Numbers that have their SMS already, of messages that wait for the provider: nobody gets it twice because another could not be reached. */
  readonly done: Map<string, Set<string>>;
}
const MOST_UNFINISHED = 10_000;

const secret = (title: string) => Type.Optional(Type.Any({ title, description: 'Kept in the chain, and in what is exported of it.', secret: true }));

export default defineNode({
  type: 'org.thingsboard.rule.engine.sms.TbSendSmsNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'send sms',
  summary: 'Sends an SMS to one or more numbers.',
  relations: ['Success'],
  effect: true,
  config: Config({
    numbersToTemplate: nullable(Type.String(), { title: 'Numbers', description: 'Pattern; E.164, several with commas between them.' }),
    smsMessageTemplate: nullable(Type.String(), { title: 'Text', description: 'Pattern.' }),
    useSystemSmsSettings: Type.Boolean({ title: 'Settings of the system', description: 'Takes the SMS provider of the system administrator.' }),
    smsProviderConfiguration: nullable(
      Type.Object(
        {
          accessKeyId: secret('Access key id'),
          secretAccessKey: secret('Secret access key'),
          accountToken: secret('Account token'),
          password: secret('Password'),
        },
        { additionalProperties: Type.Unknown() },
      ),
      {
        title: 'Provider',
        description:
          'type TWILIO (accountSid, accountToken, numberFrom), AWS_SNS (accessKeyId, secretAccessKey, region) or SMPP (host, port, systemId, password, bindType, ' +
          'sourceAddress, sourceTon, sourceNpi, destinationTon, destinationNpi, codingScheme, …).',
      },
    ),
  }),
  defaults: {
    numbersToTemplate: '${userPhone}',
    smsMessageTemplate: 'Device ${deviceName} has high temperature ${temp}',
    useSystemSmsSettings: true,
    smsProviderConfiguration: null,
  },
  start({ config }): State {
    const sender = config.useSystemSmsSettings ? null : openSms(config.smsProviderConfiguration ?? {});
    return { key: '', sender, done: new Map() };
  },
  stop: ({ sender }) => sender?.stop(),
  parallel: () => 8,
  async send(message, { config, state, settings, signal }): Promise<string | Emission> {
    try {
      const numbers = fillPattern(config.numbersToTemplate ?? '', message).split(',');
      const text = fillPattern(config.smsMessageTemplate ?? '', message);
      if (config.useSystemSmsSettings) useSettings(state, await settings.find('sms'));
      const done = state.done.get(message.id) ?? new Set();
      for (const given of numbers) {
        const number = checkNumber(given);
        if (done.has(number)) continue;
        await state.sender!.send(number, text, signal);
        done.add(number);
        state.done.set(message.id, done);
      }
      state.done.delete(message.id);
      return 'Success';
    } catch (cause) {
      if (!isPassing(cause)) state.done.delete(message.id);
      if (state.done.size > MOST_UNFINISHED) state.done.delete(state.done.keys().next().value!);
      return { to: 'Failure', error: errorText(cause), away: isPassing(cause) };
    }
  },
  preview: (message, config) => ({
    numbers: fillPattern(config.numbersToTemplate ?? '', message),
    text: fillPattern(config.smsMessageTemplate ?? '', message),
  }),
});

function useSettings(state: State, stored: Record<string, unknown> | null): void {
  if (!stored) throw new AppError('sms-settings', 'later', 'Unable to send SMS: no SMS provider configured!');
  const key = JSON.stringify(stored);
  if (state.sender && state.key === key) return;
  const sender = openSms(stored);
  state.sender?.stop();
  state.key = key;
  state.sender = sender;
}
