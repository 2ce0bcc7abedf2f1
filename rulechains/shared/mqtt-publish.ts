import { isPassing } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Emission, SendContext } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { undelivered } from './broker.ts';
import type { MqttPublisher } from './mqtt.ts';
import { plainTextOf } from './plain-text.ts';

interface PublishConfig {
  readonly topicPattern: string | null;
  readonly retainedMessage: boolean;
  readonly parseToPlainText: boolean;
}

const publicationOf = (message: Message, { topicPattern, parseToPlainText }: PublishConfig): { topic: string; payload: string } => ({
  topic: fillPattern(topicPattern ?? '', message),
  payload: parseToPlainText ? plainTextOf(message.data) : message.data,
});

/** What a node does with the connection that its `start` has made. */
export const publishing = {
  stop: (mqtt: MqttPublisher): void => mqtt.stop(),
  preview: publicationOf,
  async send(message: Message, { config, state, signal }: SendContext<PublishConfig, MqttPublisher>): Promise<string | Emission> {
    const { topic, payload } = publicationOf(message, config);
    try {
      await state.publish(topic, payload, config.retainedMessage, signal);
      return 'Success';
    } catch (cause) {
      return undelivered(message, cause, isPassing(cause));
    }
  },
};
