import { Type } from 'typebox';
import { type KeyValue, keyProblem, parseAttributes, sameValue, valueJson } from '#engine/json.ts';
import { type AttributeScope, type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Services } from '#engine/services.ts';
import { enqueueNodeAction } from '../../shared/action-message.ts';
import { isTrue, scopeOf } from '../../shared/attributes.ts';
import { scope } from '../../shared/fields.ts';
import { inOrder } from '../../shared/in-order.ts';
import { type Gates, type Part, processingSettings, refuseProcessing, startGates } from '../../shared/processing.ts';

const PARTS = ['attributes', 'webSockets', 'calculatedFields'] as const satisfies readonly Part[];
const EVERY_MESSAGE = { type: 'ON_EVERY_MESSAGE' };
const NOT_STORED: Outcome = { to: 'Success', effect: false };

export default defineNode({
  type: 'org.thingsboard.rule.engine.telemetry.TbMsgAttributesNode',
  version: 3,
  family: 'ACTION',
  label: 'save attributes',
  summary: 'Stores attributes of the originator.',
  relations: ['Success'],
  effect: true,
  config: Config({
    processingSettings: processingSettings(PARTS),
    scope: scope({ title: 'Scope', description: 'Unless metadata has scope.' }),
    notifyDevice: Type.Boolean({
      title: 'Tell the device',
      description: 'Shared attributes reach the connected device, also when metadata notifyDevice says false.',
    }),
    sendAttributesUpdatedNotification: Type.Boolean({
      title: 'Send a message',
      description: 'ATTRIBUTES_UPDATED goes into the default chain of the originator; not for client attributes.',
    }),
    updateAttributesOnlyOnValueChange: Type.Boolean({
      title: 'Only changes',
      description: 'Attributes whose type and value stay the same are not written.',
    }),
  }),
  defaults: {
    processingSettings: EVERY_MESSAGE,
    scope: 'SERVER_SCOPE',
    notifyDevice: false,
    sendAttributesUpdatedNotification: false,
    updateAttributesOnlyOnValueChange: true,
  },
  upgrades: [
    (config) => ({ updateAttributesOnlyOnValueChange: false, ...config }),
    (config) => ({
      ...config,
      notifyDevice: flag(config['notifyDevice'], true),
      sendAttributesUpdatedNotification: flag(config['sendAttributesUpdatedNotification'], false),
      updateAttributesOnlyOnValueChange: flag(config['updateAttributesOnlyOnValueChange'], true),
    }),
    (config) => ({ ...config, processingSettings: EVERY_MESSAGE }),
  ],
  needs: ['attributes', 'messages'],
  refuse: (config) => refuseProcessing(config, PARTS),
  start: ({ config }): Gates<(typeof PARTS)[number]> => startGates(config, PARTS),
  // In order: whether a value changes depends on what the message before it wrote.
  processBatch: (all, { config, state, node, attributes, messages }) =>
    inOrder(all, async (message) => {
      if (message.type !== 'POST_ATTRIBUTES_REQUEST') throw new Error(`Unsupported msg type: ${message.type}`);
      const values = parseAttributes(message.data);
      if (values.length === 0) return NOT_STORED;
      // After the body: one that can not be read uses up no interval.
      const ts = metadataTs(message);
      const isSaved = state.attributes(message, ts);
      const isWatched = state.webSockets(message, ts);
      const isCalculated = state.calculatedFields(message, ts);
      if (!isSaved && !isWatched && !isCalculated) return NOT_STORED;
      const scope = scopeOf(message, config.scope);
      const changed = config.updateAttributesOnlyOnValueChange ? await changes(message, scope, values, attributes) : values;
      if (changed.length === 0) return NOT_STORED;
      if (isSaved) checkKeys(changed);
      if (isSaved) attributes.save(message.originator, scope, changed, messages.now());
      const { originator, metadata } = message;
      if (
        isSaved &&
        scope === 'SHARED_SCOPE' &&
        originator.entityType === 'DEVICE' &&
        (config.notifyDevice || !metadata['notifyDevice'] || isTrue(metadata['notifyDevice']))
      ) {
        attributes.notifyDevice(originator.id, { updated: changed });
      }
      if (config.sendAttributesUpdatedNotification && scope !== 'CLIENT_SCOPE') {
        const data = `{${changed.map(([key, value]) => `${JSON.stringify(key)}:${valueJson(value)}`).join(',')}}`;
        enqueueNodeAction({ type: 'ATTRIBUTES_UPDATED', originator, data, metadata: { scope } }, node, messages);
      }
      return isSaved ? 'Success' : NOT_STORED;
    }),
});

async function changes(
  message: Message,
  scope: AttributeScope,
  values: readonly KeyValue[],
  attributes: Services['attributes'],
): Promise<KeyValue[]> {
  if (values.some(([key]) => key === '')) throw new Error('Incorrect attribute key ');
  const stored = await attributes.find(
    message.originator,
    scope,
    values.map(([key]) => key),
  );
  const before = new Map(stored.map(({ key, value }) => [key, value]));
  return values.filter(([key, value]) => !before.has(key) || !sameValue(before.get(key)!, value));
}

function checkKeys(values: readonly KeyValue[]): void {
  for (const [key] of values) {
    const problem = keyProblem(key);
    if (problem) throw new Error(problem);
  }
}

/** Old files hold these as text; what says neither yes nor no counts as absent. */
function flag(value: unknown, absent: boolean): unknown {
  if (value !== undefined && value !== null && typeof value !== 'string') return value;
  const text = value?.trim();
  return text === 'true' || (text !== 'false' && absent);
}
