import { type Actor, actionMessage } from './actions.ts';
import { entityJson, entityRef, MEMBERSHIP, ownerOf } from './entities.ts';
import { Rejected } from './errors.ts';
import type { EntityRef, Message, Metadata } from './message.ts';
import type { Collection, Doc, DocQuery, Relation } from './store.ts';
import type { Work } from './work.ts';

/**
 * Groups, who is in them and whose an entity is: one way to change it for REST and for rule nodes (specs: rest-api §2.7, rule-nodes §3.8). Members are relations
 * from the group; of the reserved group `All` everything that its owner has is one.
 */

/** Entities whose owner can be changed. */
export const OWNED: readonly Collection[] = ['DEVICE', 'ASSET', 'ENTITY_VIEW', 'EDGE'];

export const isAll = (group: Doc): boolean => group.body['groupAll'] === true;

export const groupKey = (owner: EntityRef, type: string, name: string): string => `${owner.id}/${type}/${name}`;

/** What finds the members of a group `All` in the collection of its type. */
export const ownedBy = (group: Doc): DocQuery => {
  const owner = group.body['ownerId'] as EntityRef;
  return { customerId: owner.entityType === 'CUSTOMER' ? owner.id : null };
};

/** Where a change goes, and who is told of it. */
export interface GroupChange {
  readonly work: Work;
  /** null: not a user. */
  readonly caller: Actor | null;
  /** Of the messages that tell of it. */
  readonly metadata?: Metadata;
  readonly now: number;
  tell(message: Message): void;
  relations(query: { from?: EntityRef; to?: EntityRef; type: string; typeGroup: string }): Promise<Relation[]>;
  group(id: string): Promise<Doc | null>;
}

/** Puts an entity into a group; being in it already is no change. @throws Rejected for the group `All`, and for an entity of another type. */
export async function addMember(change: GroupChange, group: Doc, member: Doc): Promise<void> {
  if (isAll(group)) throw new Rejected('The group All has everything its owner has');
  if (group.kind !== member.collection) throw new Rejected(`A ${member.collection} can not be in a group of type ${group.kind}`);
  const relation = { from: entityRef(group), to: entityRef(member), ...MEMBERSHIP };
  if ((await change.relations(relation)).length > 0) return;
  change.work.relations.push({ tenantId: group.tenantId, save: relation });
  tell(change, member, 'ADDED_TO_ENTITY_GROUP', { addedToEntityGroupId: group.id, addedToEntityGroupName: group.name });
}

/** Takes an entity out of a group; not being in it is no change, and out of the group `All` nothing is taken. */
export async function removeMember(change: GroupChange, group: Doc, member: Doc): Promise<void> {
  const relation = { from: entityRef(group), to: entityRef(member), ...MEMBERSHIP };
  if (isAll(group) || (await change.relations(relation)).length === 0) return;
  change.work.relations.push({ tenantId: group.tenantId, remove: relation });
  tell(change, member, 'REMOVED_FROM_ENTITY_GROUP', { removedFromEntityGroupId: group.id, removedFromEntityGroupName: group.name });
}

/** Groups that name an entity as a member; of `All` groups nobody needs telling. */
export async function groupsNaming({ relations, group }: Pick<GroupChange, 'relations' | 'group'>, entity: EntityRef): Promise<Doc[]> {
  const found = await Promise.all((await relations({ to: entity, ...MEMBERSHIP })).map(({ from }) => group(from.id)));
  return found.filter((each) => each !== null);
}

/**
 * Gives an entity to another owner: it leaves the groups of others, and is in the new owner's `All` from now on. Belonging to it already is no change.
 * @param doc as it is stored. @throws Rejected for an entity that has no owner of its own.
 */
export async function changeOwner(change: GroupChange, doc: Doc, owner: EntityRef): Promise<void> {
  if (!OWNED.includes(doc.collection)) throw new Rejected(`A ${doc.collection} has no owner to change`);
  if (ownerOf(doc).id === owner.id) return;
  const customerId = owner.entityType === 'CUSTOMER' ? owner.id : null;
  const owned = { ...doc, customerId, version: doc.version + 1 };
  change.work.docs.push({ doc: owned, expects: doc.version });
  for (const group of await groupsNaming(change, entityRef(doc))) if (group.ref !== owner.id) await removeMember(change, group, owned);
  tell(change, owned, 'OWNER_CHANGED', {}, entityJson(owned));
}

function tell({ tell: send, caller, metadata, now }: GroupChange, about: Doc, type: string, more: Metadata, data: unknown = {}): void {
  const { tenantId, customerId } = about;
  send(actionMessage({ caller, tenantId, type, originator: entityRef(about), data, metadata: { ...more, ...metadata }, customerId, now }));
}
