import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { texts } from '../../shared/fields.ts';

/** The text of the type decides, custom types too; message type switch knows only the platform's. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbMsgTypeFilterNode',
  version: 0,
  family: 'FILTER',
  label: 'message type filter',
  summary: 'True when the type of the message is in the list.',
  relations: ['True', 'False'],
  config: Config({
    messageTypes: texts({
      title: 'Message types',
      description: 'Compared exactly, with upper and lower case.',
      examples: [['POST_TELEMETRY_REQUEST']],
    }),
  }),
  defaults: { messageTypes: ['POST_ATTRIBUTES_REQUEST', 'POST_TELEMETRY_REQUEST', 'TO_SERVER_RPC_REQUEST'] },
  process(message, { config }) {
    if (!config.messageTypes) throw new Error('Message types are not set!');
    return config.messageTypes.includes(message.type) ? 'True' : 'False';
  },
});
