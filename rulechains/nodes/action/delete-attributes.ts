import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { enqueueNodeAction } from '../../shared/action-message.ts';
import { isTrue, scopeOf } from '../../shared/attributes.ts';
import { scope, texts } from '../../shared/fields.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.telemetry.TbMsgDeleteAttributesNode',
  version: 0,
  family: 'ACTION',
  label: 'delete attributes',
  summary: 'Deletes attributes of the originator.',
  relations: ['Success'],
  effect: true,
  config: Config({
    scope: scope({ title: 'Scope', description: 'Unless metadata has scope.' }),
    keys: texts({ title: 'Keys', description: 'Patterns; blank ones are left out.', examples: [['${attributeName}']] }),
    sendAttributesDeletedNotification: Type.Boolean({
      title: 'Send a message',
      description: 'ATTRIBUTES_DELETED goes into the default chain of the originator.',
    }),
    notifyDevice: Type.Boolean({ title: 'Tell the device', description: 'Of shared attributes; also when metadata notifyDevice is true.' }),
  }),
  defaults: { scope: 'SERVER_SCOPE', keys: [], sendAttributesDeletedNotification: false, notifyDevice: false },
  needs: ['attributes', 'messages'],
  process(message, { config, node, attributes, messages }) {
    if (!config.keys) throw new Error('Keys to delete are not set!');
    const keys = [...new Set(config.keys.map((key) => fillRequired(key, message)))].filter((key) => key.trim() !== '');
    if (keys.length === 0) return { to: 'Success', effect: false };
    const scope = scopeOf(message, config.scope);
    const { originator, metadata } = message;
    attributes.remove(originator, scope, keys);
    if (scope === 'SHARED_SCOPE' && originator.entityType === 'DEVICE' && (config.notifyDevice || isTrue(metadata['notifyDevice']))) {
      attributes.notifyDevice(originator.id, { deleted: keys });
    }
    if (config.sendAttributesDeletedNotification) {
      enqueueNodeAction({ type: 'ATTRIBUTES_DELETED', originator, data: JSON.stringify({ attributes: keys }), metadata: { scope } }, node, messages);
    }
    return 'Success';
  },
});
