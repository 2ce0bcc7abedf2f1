import { Type } from 'typebox';
import { isPassing, Rejected } from '#engine/errors.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { undelivered } from '../../shared/broker.ts';
import { nullable } from '../../shared/fields.ts';
import { openHttp } from '../../shared/http.ts';
import { botTokenOf, postMessage } from '../../shared/slack.ts';

const part = (title: string, description: string) => nullable(Type.String(), { title, description });

/** @param url of Slack's Web API. */
export const sendToSlack = (url?: string) =>
  defineNode({
    type: 'org.thingsboard.rule.engine.notification.TbSlackNode',
    version: 0,
    family: 'EXTERNAL',
    label: 'send to slack',
    summary: 'Posts a text to a channel or a user of Slack.',
    relations: ['Success'],
    effect: true,
    config: Config({
      botToken: nullable(Type.String(), { title: 'Bot token', description: 'Of the Slack app, xoxb-….', control: 'password' }),
      useSystemSettings: Type.Boolean({ title: 'Token of the system', description: 'Takes the bot token of the notification settings.' }),
      messageTemplate: nullable(Type.String(), { title: 'Text', description: 'Pattern.', control: 'code' }),
      conversationType: nullable(Type.Enum(['DIRECT', 'PUBLIC_CHANNEL', 'PRIVATE_CHANNEL']), { title: 'Kind', description: 'Of the conversation.' }),
      conversation: nullable(
        Type.Object(
          {
            type: part('Kind', 'DIRECT, PUBLIC_CHANNEL or PRIVATE_CHANNEL.'),
            id: part('Id', 'Of the channel or user at Slack.'),
            name: part('Name', 'Shown in the form.'),
            title: part('Title', 'Shown in the form.'),
          },
          { additionalProperties: true },
        ),
        { title: 'Conversation', description: 'Where it is posted.' },
      ),
    }),
    defaults: {
      botToken: 'xoxb-',
      useSystemSettings: true,
      messageTemplate: 'Device ${deviceId}: temperature is $[temperature]',
      conversationType: 'PUBLIC_CHANNEL',
      conversation: null,
    },
    start({ config }) {
      if (!config.conversation?.id) throw new Error('Slack conversation must be set!');
      if (!config.messageTemplate?.trim()) throw new Error('Message template must be set!');
      return openHttp();
    },
    stop: (http) => http.stop(),
    // Slack takes about one message a second for a channel, and a few more in a burst.
    parallel: () => 2,
    preview: (message, config) => ({ channel: config.conversation?.id ?? null, text: fillPattern(config.messageTemplate ?? '', message) }),
    async send(message, { config, state, settings, signal }) {
      const text = fillPattern(config.messageTemplate!, message);
      try {
        const token = config.useSystemSettings ? botTokenOf(await settings.find('notifications')) : config.botToken?.trim();
        if (!token) throw new Rejected('Slack token is missing');
        await postMessage(state, { ...(url !== undefined && { url }), token, channel: config.conversation!.id!, text }, signal);
        return 'Success';
      } catch (cause) {
        return undelivered(message, cause, isPassing(cause));
      }
    },
  });

export default sendToSlack();
