import { entityData, entityRef } from '#engine/entities.ts';
import { AppError } from '#engine/errors.ts';
import type { EntityType } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { enqueueNodeAction } from './action-message.ts';

/** Entities that nodes know by name: found, or made where the node may (specs: rule-nodes §3.5). */

/** What people call the name of an entity, in the errors of the nodes. */
const NAMES: Readonly<Record<string, readonly [entity: string, name: string]>> = {
  DEVICE: ['Device', 'name'],
  ASSET: ['Asset', 'name'],
  CUSTOMER: ['Customer', 'title'],
  ENTITY_VIEW: ['Entity View', 'name'],
  DASHBOARD: ['Dashboard', 'title'],
  EDGE: ['Edge', 'name'],
  USER: ['User', 'email'],
};
const MADE: ReadonlySet<string> = new Set(['DEVICE', 'ASSET', 'CUSTOMER']);

export interface Wanted {
  readonly type: string;
  readonly name: string;
  /** Absent: only found. Asked for the profile when it is to be made. */
  readonly profile?: () => string;
}
type Context = Pick<Services, 'entities' | 'inventory' | 'messages'> & { readonly node: NodeInfo };

/** @throws Error in the words of the original, when it is not there and not to be made, or can not be. */
export async function foundOrMade({ type, name, profile }: Wanted, { node, entities, inventory, messages }: Context): Promise<Doc> {
  const [entity, called] = NAMES[type]!;
  const found = await entities.byName(type as EntityType, name);
  if (found) return found;
  if (!profile || !MADE.has(type)) throw new Error(`${entity} with ${called} '${name}' doesn't exist!`);
  const profileName = profile();
  let made: Doc;
  try {
    made = await inventory.create(type as 'DEVICE' | 'ASSET' | 'CUSTOMER', name, profileName);
  } catch (cause) {
    if (cause instanceof AppError && cause.retry !== 'never') throw cause;
    throw new Error(`Failed to create ${entity.toLowerCase()} with ${called} '${name}' due to: `, { cause });
  }
  enqueueNodeAction({ type: 'ENTITY_CREATED', originator: entityRef(made), data: JSON.stringify(entityData(made)) }, node, messages);
  return made;
}
