import { parseAttributes, parseSamples } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, metadataTs } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

/** Nothing is calculated here yet; what the message holds is checked as it would be. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.telemetry.TbCalculatedFieldsNode',
  version: 0,
  family: 'ACTION',
  label: 'calculated fields and alarm rules',
  summary: 'Gives values to calculated fields and alarm rules without storing them. This server has neither: the message goes on.',
  relations: ['Success'],
  ...NO_CONFIG,
  process(message) {
    switch (message.type) {
      case 'POST_TELEMETRY_REQUEST':
        parseSamples(message.data, metadataTs(message));
        return 'Success';
      case 'POST_ATTRIBUTES_REQUEST': {
        if (parseAttributes(message.data).length === 0) return 'Success';
        const scope = message.metadata['scope'];
        if (!scope) throw new Error('Attribute scope is missing');
        if (!(ATTRIBUTE_SCOPES as readonly string[]).includes(scope)) throw new Error(`Invalid attribute scope: ${scope}`);
        return 'Success';
      }
      default:
        throw new Error(`Unsupported msg type: ${message.type}`);
    }
  },
});
