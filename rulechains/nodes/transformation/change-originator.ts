import { type Static, Type } from 'typebox';
import { entityLabel, entityRef } from '#engine/entities.ts';
import { type EntityRef, type EntityType, type Message, withChanges } from '#engine/message.ts';
import { defineNode, type NodeContext } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { DEFAULT_RELATIONS_QUERY, nullable, relationsQuery } from '../../shared/fields.ts';
import { toRelationsQuery } from '../../shared/relations.ts';

const SOURCES = ['CUSTOMER', 'TENANT', 'RELATED', 'ALARM_ORIGINATOR', 'ENTITY'] as const;
const BY_NAME: readonly string[] = ['DEVICE', 'ASSET', 'ENTITY_VIEW', 'EDGE', 'USER'];

const NewOriginator = Config({
  originatorSource: nullable(Type.Enum([...SOURCES]), {
    title: 'New originator',
    description: 'Customer or tenant of the originator, a related entity, the originator of the alarm, or an entity by its name.',
  }),
  relationsQuery: relationsQuery({ title: 'Relations', description: 'Where the related entity is looked for; the first one found is taken.' }),
  // No enum: of other sources it does not matter what stands here.
  entityType: nullable(Type.String(), {
    title: 'Entity type',
    description: 'Of the entity by name: DEVICE, ASSET, ENTITY_VIEW, EDGE or USER.',
    examples: BY_NAME,
  }),
  entityNamePattern: nullable(Type.String(), { title: 'Entity name', description: 'Pattern; a user is named by e-mail.' }),
});

/** Only the originator changes: the message keeps its customer. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbChangeOriginatorNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'change originator',
  summary: 'Makes another entity the originator of the message.',
  relations: ['Success'],
  config: NewOriginator,
  defaults: { originatorSource: 'CUSTOMER', relationsQuery: DEFAULT_RELATIONS_QUERY, entityType: null, entityNamePattern: null },
  needs: ['entities', 'relations', 'alarms'],
  start({ config }) {
    if (config.originatorSource === null) throw new Error('Originator source should be specified.');
    if (config.originatorSource === 'RELATED' && config.relationsQuery === null) {
      throw new Error("Relations query should be specified if 'Related entity' source is selected.");
    }
    if (config.originatorSource !== 'ENTITY') return;
    if (config.entityType === null) throw new Error("Entity type should be specified if 'Entity by name pattern' source is selected.");
    if (!config.entityNamePattern) throw new Error("Name pattern should be specified if 'Entity by name pattern' source is selected.");
    if (!BY_NAME.includes(config.entityType)) throw new Error(`Unexpected entity type ${config.entityType}`);
  },
  async process(message, context) {
    const originator = await newOriginator(message, context);
    if (!originator) throw new Error('Failed to find new originator!');
    return { to: 'Success', message: withChanges(message, { originator }) };
  },
});

type Context = NodeContext<Static<typeof NewOriginator>, unknown, 'entities' | 'relations' | 'alarms'>;

async function newOriginator(message: Message, { config, entities, relations, alarms }: Context): Promise<EntityRef | null> {
  const { originator } = message;
  switch (config.originatorSource) {
    case 'TENANT':
      return { entityType: 'TENANT', id: message.tenantId };
    case 'CUSTOMER': {
      if (originator.entityType === 'CUSTOMER') return originator;
      const id = await entities.customerOf(originator);
      return id === null ? null : { entityType: 'CUSTOMER', id };
    }
    case 'RELATED':
      return (await relations.search(originator, toRelationsQuery(config.relationsQuery!)))[0] ?? null;
    case 'ALARM_ORIGINATOR':
      if (originator.entityType !== 'ALARM') throw new Error(`Unexpected originator EntityType ${originator.entityType}`);
      return (await alarms.byId(originator.id))?.originator ?? null;
    default: {
      const type = config.entityType as EntityType;
      const name = fillPattern(config.entityNamePattern!, message);
      const doc = await entities.byName(type, name);
      if (!doc) throw new Error(`Failed to find ${entityLabel(type).toLowerCase()} with name '${name}'!`);
      return entityRef(doc);
    }
  }
}
