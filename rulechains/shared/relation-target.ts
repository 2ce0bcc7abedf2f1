import { Type } from 'typebox';
import { entityRef } from '#engine/entities.ts';
import { ENTITY_TYPES, type EntityRef, type Message } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';
import type { Relation } from '#engine/store.ts';
import { direction, nullable } from './fields.ts';
import { foundOrMade } from './found-or-made.ts';
import { fillRequired } from './required-pattern.ts';

/** What "create relation" and "delete relation" share (specs: rule-nodes §3.5). */

export const targetFields = {
  direction,
  relationType: nullable(Type.String(), { title: 'Relation type', description: 'Pattern.', examples: ['Contains'] }),
  entityType: nullable(Type.Enum([...ENTITY_TYPES]), { title: 'Entity type', description: 'Of the other entity. TENANT needs no name.' }),
  entityNamePattern: nullable(Type.String(), { title: 'Entity name', description: 'Pattern; title of a customer or dashboard, e-mail of a user.' }),
  entityTypePattern: nullable(Type.String(), { title: 'Profile', description: 'Pattern; profile of a device or asset that is created.' }),
};

export const TARGET_DEFAULTS = { direction: 'FROM', relationType: 'Contains', entityType: null, entityNamePattern: '', entityTypePattern: null };

export interface TargetConfig {
  readonly direction: string | null;
  readonly relationType: string | null;
  readonly entityType: string | null;
  readonly entityNamePattern: string | null;
  readonly entityTypePattern: string | null;
}

const TARGETS = ['TENANT', 'CUSTOMER', 'USER', 'DASHBOARD', 'ASSET', 'DEVICE', 'ENTITY_VIEW', 'EDGE'];

/** For `start`. */
export function checkTargetType(entityType: string | null): void {
  if (entityType === null || !TARGETS.includes(entityType)) {
    throw new Error(`Unsupported entity type '${entityType}'! Only ${TARGETS.join(' ,')} types are allowed.`);
  }
}

type Context = Pick<Services, 'entities' | 'inventory' | 'messages'> & { readonly config: TargetConfig; readonly node: NodeInfo };

/** The other end. @throws Error when there is none. */
export async function targetOf(message: Message, mayCreate: boolean, context: Context): Promise<EntityRef> {
  const { entityType, entityNamePattern, entityTypePattern } = context.config;
  if (entityType === 'TENANT') return { entityType, id: message.tenantId };
  const name = fillRequired(entityNamePattern, message);
  const profile = () => (entityType === 'CUSTOMER' ? '' : fillRequired(entityTypePattern, message));
  return entityRef(await foundOrMade({ type: entityType!, name, ...(mayCreate && { profile }) }, context));
}

/** @throws Error when it is none. */
export function typeOf({ relationType }: TargetConfig, message: Message): string {
  const type = fillRequired(relationType, message);
  if (type === '') throw new Error('Relation type should be specified!');
  return type;
}

/** A direction that is not FROM is TO, also none. */
export const relationTo = ({ originator }: Message, target: EntityRef, type: string, { direction }: TargetConfig): Relation => ({
  ...(direction === 'FROM' ? { from: originator, to: target } : { from: target, to: originator }),
  type,
  typeGroup: 'COMMON',
});

/** All of that type on the originator's side. True: there were some. */
export async function removeAll(
  { originator }: Message,
  type: string,
  { direction }: TargetConfig,
  relations: Services['relations'],
): Promise<boolean> {
  const found = await relations.find({ ...(direction === 'FROM' ? { from: originator } : { to: originator }), type, typeGroup: 'COMMON' });
  for (const relation of found) relations.remove(relation);
  return found.length > 0;
}

export const exists = async ({ from, to, type, typeGroup }: Relation, relations: Services['relations']): Promise<boolean> =>
  (await relations.find({ from, to, type, typeGroup })).length > 0;

/** Up to version 0 the directions were the wrong way round; that old files have the key of the cache is how one tells. */
export function turned({ entityCacheExpiration, ...config }: Record<string, unknown>): Record<string, unknown> {
  if (entityCacheExpiration === undefined) return config;
  if (!('direction' in config)) throw new Error("property to update: 'direction' doesn't exists in configuration!");
  if (config['direction'] === 'TO') return { ...config, direction: 'FROM' };
  if (config['direction'] === 'FROM') return { ...config, direction: 'TO' };
  throw new Error("property to update: 'direction' has invalid value!");
}
