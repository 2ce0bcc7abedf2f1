import { Type } from 'typebox';
import { errorText } from '#engine/errors.ts';
import { isUuid } from '#engine/id.ts';
import { isJsonObject, parseJson } from '#engine/json.ts';
import { createMessage, ENTITY_TYPES, type EntityRef, type EntityType, type Message, withChanges } from '#engine/message.ts';
import { defineNode, type StartContext } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script } from '#engine/script.ts';
import type { Services } from '#engine/services.ts';
import { nullable } from '../../shared/fields.ts';
import { scriptArgs, scriptChoice, scriptError, scriptFields, startScript } from '../../shared/script.ts';
import { scriptMessage } from '../../shared/script-message.ts';

const SAMPLE = `var msg = { temp: 42, humidity: 77 };
var metadata = { data: 40 };
var msgType = "POST_TELEMETRY_REQUEST";

return { msg: msg, metadata: metadata, msgType: msgType };`;

const ORIGINATORS: readonly EntityType[] = ['DEVICE', 'ASSET', 'ENTITY_VIEW', 'TENANT', 'CUSTOMER', 'USER', 'DASHBOARD', 'EDGE', 'RULE_NODE'];

/** A script that fails gives a message too, by Failure, and counts. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.debug.TbMsgGeneratorNode',
  version: 2,
  family: 'ACTION',
  label: 'generator',
  summary: 'Makes messages by a script, one each period.',
  relations: ['Success'],
  inputs: false,
  usesQueueName: true,
  config: Config({
    msgCount: Type.Integer({ title: 'Messages', description: 'How many it makes since its start; 0 has no end.' }),
    periodInSeconds: Type.Integer({ title: 'Period', description: 'Between two messages.', unit: 's' }),
    originatorType: nullable(Type.Enum([...ENTITY_TYPES]), {
      title: 'Originator type',
      description: 'RULE_NODE: the node itself; TENANT: the tenant; else an entity must be chosen.',
    }),
    originatorId: nullable(Type.String(), { title: 'Originator', description: 'Id of the entity.' }),
    ...scriptFields('Its arguments are those of the message before; it must return {msg, metadata, msgType}.'),
  }),
  defaults: {
    msgCount: 0,
    periodInSeconds: 1,
    originatorType: 'RULE_NODE',
    originatorId: null,
    scriptLang: 'TBEL',
    jsScript: SAMPLE,
    tbelScript: SAMPLE,
  },
  upgrades: [
    ({ queueName: _moved, ...config }) => config,
    (config) =>
      (config['originatorType'] ?? null) === null || String(config['originatorId'] ?? '').trim() === ''
        ? { ...config, originatorType: 'RULE_NODE' }
        : config,
  ],
  async start(context) {
    const { config, node, scripts, every } = context;
    const originator = await originatorOf(context);
    const script = await startScript('generator', scriptChoice(config), scripts);
    let made = 0;
    let previous: Message | null = null;
    every(config.periodInSeconds * 1000, async (run) => {
      if (config.msgCount > 0 && made >= config.msgCount) return 'stop';
      made++;
      const { newId, now } = run.messages;
      const blank = (type: string, data: string) =>
        createMessage({ tenantId: node.tenantId, type, originator, data, queueName: node.queueName }, newId, now());
      try {
        previous = withChanges(await generate(script, previous ?? blank('', '{}'), run.scripts), { ts: now() });
        return [{ to: 'Success', message: previous }];
      } catch (cause) {
        return [{ to: 'Failure', message: blank('GENERATOR_NODE_SELF_MSG', ''), error: errorText(cause) }];
      }
    });
  },
});

async function generate(script: Script, previous: Message, scripts: Services['scripts']): Promise<Message> {
  const [result] = await scripts.run(script, [scriptArgs(previous)]);
  if (!result!.ok) throw scriptError(result!.fault);
  const returned = parseJson(result!.json!);
  if (!isJsonObject(returned)) throw new Error('Generator script must return an object!');
  return scriptMessage(returned, previous, script.language);
}

async function originatorOf({
  config,
  node,
  entities,
}: StartContext<{ originatorType: EntityType | null; originatorId: string | null }>): Promise<EntityRef> {
  const { originatorType: entityType, originatorId: id } = config;
  if (entityType === null || !ORIGINATORS.includes(entityType)) throw new Error(`Originator type '${entityType}' is not supported.`);
  if (entityType === 'RULE_NODE') return { entityType: 'RULE_NODE', id: node.id };
  if (entityType === 'TENANT') return { entityType: 'TENANT', id: node.tenantId };
  if (!id?.trim()) throw new Error('Originator entity must be selected.');
  if (!isUuid(id)) throw new Error(`Invalid UUID string: ${id}`);
  if (!(await entities.find({ entityType, id }))) {
    throw new Error(`Entity with id: '${id}' specified in the configuration doesn't belong to the current tenant.`);
  }
  return { entityType, id };
}
