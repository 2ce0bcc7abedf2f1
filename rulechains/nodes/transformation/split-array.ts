import { firstJson, printJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

/** An empty array ends the message; one element goes on as the same message, several as new ones. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbSplitArrayMsgNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'split array msg',
  summary: 'Makes a message of each element of the array in the message data.',
  relations: ['Success'],
  ...NO_CONFIG,
  process(message) {
    const data = firstJson(message);
    if (!Array.isArray(data)) throw new Error('Msg data is not a JSON Array!');
    return data.map((element) => ({ to: 'Success', message: withChanges(message, { data: printJson(element) }) }));
  },
});
