import { type Static, Type } from 'typebox';
import { createMessage, type EntityRef, type Message } from '#engine/message.ts';
import type { NodeInfo, StartContext } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';
import { nullable, relationsQuery } from './fields.ts';
import { MINUTE_MS } from './periods.ts';
import { toRelationsQuery } from './relations.ts';

/** The entities that a timer driven analytics node works for: one, the members of a group, or what a relations query finds (specs: rule-nodes §3.8). */

const ref = (title: string, description: string) =>
  nullable(
    Type.Object(
      {
        entityType: nullable(Type.String(), { title: 'Entity type', description: 'As in ids everywhere.' }),
        id: nullable(Type.String(), { title: 'Id', description: 'UUID.' }),
      },
      { additionalProperties: true },
    ),
    { title, description },
  );

export const parentEntitiesQuery = nullable(
  Type.Object(
    {
      type: nullable(Type.Enum(['single', 'group', 'query']), { title: 'Which', description: 'One entity, a group, or a relations query.' }),
      entityId: ref('Entity', 'The one.'),
      entityGroupId: Type.Union([...ref('Group', '').anyOf, Type.String()], {
        title: 'Group',
        description: 'Whose members count: id, or type and id.',
      }),
      rootEntityId: ref('Root', 'Where the relations query begins.'),
      relationsQuery: relationsQuery({ title: 'Relations query', description: 'Finds the entities from the root on.' }),
      childRelationsQuery: relationsQuery({ title: 'Children', description: 'Finds the children of each.' }),
    },
    { additionalProperties: true },
  ),
  { title: 'Entities', description: 'What the node works for, by its timer.' },
);
export type ParentEntities = NonNullable<Static<typeof parentEntitiesQuery>>;

/** One that gets a result, and those whose values make it. */
export interface Family {
  readonly parent: EntityRef;
  children(): Promise<readonly EntityRef[]>;
}

type Needed = Pick<Services, 'groups' | 'relations'>;

/** @throws Error when the query does not say which entities. */
export function checkEntities(query: ParentEntities | null): ParentEntities {
  const id = { single: query?.entityId?.id, group: query && groupId(query), query: query?.rootEntityId?.id }[query?.type ?? 'single'];
  if (!query?.type || !id) throw new Error('Entities should be specified!');
  if (query.type === 'query' && !query.relationsQuery) throw new Error('Relations query should be specified!');
  return query;
}

/** A group's own children are its members; without a query for children an entity is its own. @throws Error for a group that is gone. */
export async function families(query: ParentEntities, { groups, relations }: Needed): Promise<Family[]> {
  if (query.type === 'group') {
    const id = groupId(query)!;
    const group = await groups.find(id);
    if (!group) throw new Error(`ENTITY_GROUP with id [${id}] is not found`);
    return [{ parent: { entityType: 'ENTITY_GROUP', id: group.id }, children: () => groups.members(group) }];
  }
  const parents =
    query.type === 'single' ? [toRef(query.entityId)] : await relations.search(toRef(query.rootEntityId), toRelationsQuery(query.relationsQuery!));
  const below = query.childRelationsQuery;
  return parents.map((parent) => ({
    parent,
    children: async () => (below ? relations.search(parent, toRelationsQuery(below)) : [parent]),
  }));
}

const groupId = ({ entityGroupId }: ParentEntities): string | null =>
  typeof entityGroupId === 'string' ? entityGroupId : (entityGroupId?.id ?? null);

const toRef = (given: ParentEntities['entityId']): EntityRef => ({ entityType: given!.entityType as EntityRef['entityType'], id: given!.id! });

/** Has `due` of the node run with `key` every so often, a minute at least, in the node's own lane. */
export function dueEvery(everyMs: number, key: string, node: NodeInfo, every: StartContext<never>['every']): void {
  every(Math.max(everyMs, MINUTE_MS), async ({ messages: { enqueue, newId, now } }) => {
    const at = { chainId: node.chainId, nodeId: node.id, labels: null, due: key };
    const originator: EntityRef = { entityType: 'RULE_NODE', id: node.id };
    enqueue(createMessage({ tenantId: node.tenantId, type: 'TIMER', originator, data: '', at, queueName: node.queueName }, newId, now()));
    return [];
  });
}

/** What an analytics node says about an entity. */
export const telemetryOf = (
  originator: EntityRef,
  data: string,
  node: NodeInfo,
  { newId, now }: Pick<Services['messages'], 'newId' | 'now'>,
  { type, metadata }: Partial<Pick<Message, 'type' | 'metadata'>> = {},
): Message =>
  createMessage(
    {
      ...{ tenantId: node.tenantId, type: type || 'POST_TELEMETRY_REQUEST', originator, data, queueName: node.queueName },
      metadata: metadata ?? { ts: String(now()) },
    },
    newId,
    now(),
  );
