import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { senderOf } from '../../shared/twilio.ts';
import { createEach, orderOf, startTwilio, TWILIO_DEFAULTS, twilioFields, twilioTypes } from '../../shared/twilio-node.ts';

/** The text is the message data. @param url of Twilio's REST interface. */
export const twilioSms = (url?: string) =>
  defineNode({
    ...twilioTypes('TbTwilioSmsNode'),
    version: 0,
    family: 'EXTERNAL',
    label: 'twilio sms',
    summary: 'Sends the message data as an SMS by Twilio.',
    relations: ['Success'],
    effect: true,
    config: Config(twilioFields),
    defaults: TWILIO_DEFAULTS,
    start: ({ config }) => startTwilio(config, url),
    stop: ({ twilio }) => twilio.stop(),
    parallel: () => 8,
    preview: (message, config) => ({ ...orderOf(message, config) }),
    send: (message, { config, state, signal }) =>
      createEach(message, config, state, signal, {
        resource: 'Messages',
        failure: 'Failed to send SMS message',
        form: ({ from, text }, To) => ({ To, ...senderOf(from), Body: text }),
      }),
  });

export default twilioSms();
