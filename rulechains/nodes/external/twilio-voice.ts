import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { createEach, orderOf, startTwilio, TWILIO_DEFAULTS, twilioFields, twilioTypes } from '../../shared/twilio-node.ts';
import { sayText } from '../../shared/twiml.ts';

/** The message data is spoken. @param url of Twilio's REST interface. */
export const twilioVoice = (url?: string) =>
  defineNode({
    ...twilioTypes('TbTwilioVoiceNode'),
    version: 0,
    family: 'EXTERNAL',
    label: 'twilio voice',
    summary: 'Calls by Twilio and speaks the message data.',
    relations: ['Success'],
    effect: true,
    config: Config({
      ...twilioFields,
      provider: nullable(Type.String(), {
        title: 'Voices of',
        description: 'Amazon Polly, Google, or none for the basic ones.',
        examples: ['Amazon Polly'],
      }),
      language: nullable(Type.String(), { title: 'Language', description: 'As Twilio calls it.', examples: ['en-US'] }),
      voice: nullable(Type.String(), { title: 'Voice', description: 'As its provider calls it.', examples: ['Joanna'] }),
      pitch: Type.Integer({ title: 'Pitch', description: '100 is the voice as it is.', unit: '%' }),
      rate: Type.Integer({ title: 'Rate', description: '100 is the voice as it is.', unit: '%' }),
      volume: Type.Integer({ title: 'Volume', description: '0 is the voice as it is.', unit: 'dB' }),
      startPause: Type.Integer({ title: 'Pause before', description: 'Silence before it speaks.', unit: 's' }),
    }),
    defaults: { ...TWILIO_DEFAULTS, provider: null, language: null, voice: null, pitch: 100, rate: 100, volume: 0, startPause: 0 },
    missing: { pitch: 100, rate: 100 },
    start: ({ config }) => startTwilio(config, url),
    stop: ({ twilio }) => twilio.stop(),
    parallel: () => 8,
    preview: (message, config) => ({ ...orderOf(message, config), twiml: sayText(orderOf(message, config).text, config) }),
    send: (message, { config, state, signal }) =>
      createEach(message, config, state, signal, {
        resource: 'Calls',
        failure: 'Failed to call',
        form: ({ from, text }, To) => ({ To, From: from, Twiml: sayText(text, config) }),
      }),
  });

export default twilioVoice();
