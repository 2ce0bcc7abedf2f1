import type { EntityRef, Message } from '#engine/message.ts';
import { withChanges } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import { GROUP_TYPES } from '#engine/seed.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';

/** What the nodes about groups share (specs: rule-nodes §3.8). */

/** Whose groups the originator can be in. @throws Error for a type that has no groups, and for an originator that is gone. */
export async function ownerOfMember({ originator }: Message, groups: Pick<Services['groups'], 'ownerOf'>): Promise<EntityRef> {
  if (!(GROUP_TYPES as readonly string[]).includes(originator.entityType))
    throw new Error(`Unsupported originator type '${originator.entityType}'! Only [${GROUP_TYPES.join(', ')}] types are allowed.`);
  return ownerOf(originator, groups);
}

/** @throws Error when the entity is gone. */
export async function ownerOf(entity: EntityRef, groups: Pick<Services['groups'], 'ownerOf'>): Promise<EntityRef> {
  const owner = await groups.ownerOf(entity);
  if (!owner) throw new Error(`${entity.entityType} with id [${entity.id}] is not found`);
  return owner;
}

export const noGroup = (type: string, name: string): Error => new Error(`Entity group with type '${type}' and name '${name}' doesn't exist!`);

/** A message for each of these originators. */
export const duplicates = (message: Message, originators: readonly EntityRef[]): Emission[] =>
  originators.map((originator) => ({ to: 'Success', message: withChanges(message, { originator }) }));

/** @throws Error for a group without members. */
export async function duplicatesToGroup(message: Message, group: Doc, groups: Pick<Services['groups'], 'members'>): Promise<Emission[]> {
  const members = await groups.members(group);
  if (members.length === 0) throw new Error(`Entity group '${group.name}' has no entities!`);
  return duplicates(message, members);
}
