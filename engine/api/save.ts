import { actionMessage, enqueueAction } from '../actions.ts';
import { entityData, entityLabel, entityRef, isMarkup, nameKey, nameProblem, randomText } from '../entities.ts';
import { Duplicate, VersionConflict } from '../errors.ts';
import type { EntityRef, Metadata } from '../message.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { removeAlarm } from './alarm-docs.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, ErrorCode, HttpError } from './errors.ts';
import { everyDocOf } from './lists.ts';

/** How every resource changes an entity: the documents and the message that tells the rule chains, in one commit, before the answer (specs: rest-api §2.22). */

/** Query of saves: what to do when the name is taken. */
export interface NamePolicy {
  readonly nameConflictPolicy?: string;
  readonly uniquifySeparator?: string;
  readonly uniquifyStrategy?: string;
}

/** A name a user may give. Field and entity are named in the refusal. @throws HttpError 400 */
export function checkName(entity: string, name: unknown, field = 'name'): string {
  const problem = nameProblem(entity, name, field);
  if (problem !== null) throw badRequest(problem);
  return name as string;
}

/** Free texts beside the name: label, address, … */
export function checkTexts(body: Readonly<Record<string, unknown>>, fields: readonly string[]): void {
  for (const field of fields) {
    const text = body[field];
    if (typeof text !== 'string') continue;
    if (text.length > 255) throw badRequest(`Validation error: ${field} length must be equal or less than 255`);
    if (isMarkup(text)) throw badRequest(`Validation error: ${field} is malformed`);
  }
}

export function checkEmail(email: string): string {
  if (email.length > 255 || !/^[^\s@<>"'(),:;[\]\\]+@[^\s@<>"'(),:;[\]\\]+\.[^\s@<>"'(),:;[\]\\]{2,}$/.test(email)) {
    throw badRequest(`Invalid email address format '${email}'!`);
  }
  return email;
}

/** The name, or by policy a free one like it. @throws HttpError 400 when it is taken and the policy is to fail. */
export async function freeName(
  context: ApiContext,
  collection: Collection,
  tenantId: string,
  name: string,
  policy: NamePolicy,
  own?: string,
): Promise<string> {
  const taken = async (candidate: string) => {
    const holder = await context.backend.store.docByKey(collection, nameKey(tenantId, candidate));
    return holder !== null && holder.id !== own;
  };
  if (!(await taken(name))) return name;
  if (policy.nameConflictPolicy !== 'UNIQUIFY') throw nameTaken(collection);
  const separator = policy.uniquifySeparator ?? '_';
  for (let number = 1; ; number++) {
    const candidate = name + separator + (policy.uniquifyStrategy === 'INCREMENTAL' ? number : randomText(6));
    if (!(await taken(candidate))) return candidate;
  }
}

const TITLED: ReadonlySet<Collection> = new Set(['CUSTOMER', 'TENANT']);

export const nameTaken = (collection: Collection): HttpError =>
  badRequest(`${entityLabel(collection).replace('View', 'view')} with such ${TITLED.has(collection) ? 'title' : 'name'} already exists!`);

export interface Save {
  readonly context: ApiContext;
  readonly caller: Caller;
  readonly doc: Doc;
  /** As it was; absent: it is new. */
  readonly stored?: Doc;
  /** The version that the caller's copy is of; without one the last save wins, as clients expect. */
  readonly expects?: number | null;
  /** More that belongs to it. */
  readonly work?: Work;
  /** Default ENTITY_CREATED or ENTITY_UPDATED. */
  readonly type?: string;
  readonly metadata?: Metadata;
}

/** Saves one entity durably and returns it as it is stored. @throws HttpError 400 taken name, 409 changed meanwhile */
export async function save({ context, caller, doc, stored, expects, work = new Work(), type, metadata }: Save): Promise<Doc> {
  const saved = stored ? { ...doc, version: stored.version + 1 } : doc;
  work.docs.push({ doc: saved, expects: expects ?? (stored ? undefined : 0) });
  enqueueAction(
    work,
    actionMessage({
      caller,
      tenantId: saved.tenantId,
      type: type ?? (stored ? 'ENTITY_UPDATED' : 'ENTITY_CREATED'),
      originator: entityRef(saved),
      data: entityData(saved),
      metadata,
      customerId: saved.customerId,
      now: context.now(),
    }),
  );
  await commit(context, work, saved.collection, saved.uniqueKey);
  return saved;
}

export interface Removal {
  readonly context: ApiContext;
  readonly caller: Caller;
  readonly doc: Doc;
  readonly work?: Work;
}

/** Removes one entity with everything that hangs on it. */
export async function remove({ context, caller, doc, work = new Work() }: Removal): Promise<void> {
  removeDoc(work, doc);
  for (const alarm of await everyDocOf(context, 'ALARM', doc.tenantId, { ref: doc.id })) await removeAlarm(work, context, alarm);
  work.purges.push({ tenantId: doc.tenantId, entity: entityRef(doc) });
  enqueueAction(
    work,
    actionMessage({
      caller,
      tenantId: doc.tenantId,
      type: 'ENTITY_DELETED',
      originator: entityRef(doc),
      data: entityData(doc),
      metadata: { entityName: doc.name, entityType: doc.collection },
      customerId: doc.customerId,
      now: context.now(),
    }),
  );
  await commit(context, work, doc.collection);
}

export const removeDoc = (work: Work, { collection, tenantId, id }: Doc): void => {
  work.docs.push({ remove: { collection, tenantId, id } });
};

/** Commits, with refusals in the words of the API. @param ownKey what is taken when the name is; a clash on another key goes on as Duplicate */
export async function commit(context: ApiContext, work: Work, collection: Collection, ownKey?: string | null): Promise<void> {
  try {
    await context.backend.commit(work);
  } catch (error) {
    if (error instanceof VersionConflict) {
      throw new HttpError(409, ErrorCode.VERSION_CONFLICT, `${entityLabel(collection)} was already changed by someone else`);
    }
    if (error instanceof Duplicate && (!ownKey || error.details['key'] === ownKey)) throw nameTaken(collection);
    throw error;
  }
}

/** Once more when somebody else made a part of it (a profile of that name, say) in the same moment: now it is there to be found. */
export async function again<T>(attempt: () => Promise<T>): Promise<T> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof Duplicate) return attempt();
    throw error;
  }
}

/** How many of a kind a tenant may have, by its profile; 0 = any number. @throws HttpError 403/41 */
export async function checkLimit(context: ApiContext, tenantId: string, limitKey: string, collection: Collection): Promise<void> {
  const limit = Number((await tenantConfiguration(context, tenantId))[limitKey] ?? 0);
  if (!(limit > 0)) return;
  const { totalElements } = await context.backend.store.docs(collection, tenantId, { pageSize: 1 });
  if (totalElements >= limit) {
    throw new HttpError(403, 41, `${entityLabel(collection)}s limit reached`, { details: { entityType: collection, limit } });
  }
}

/** Configuration of the tenant's profile. */
export async function tenantConfiguration({ backend }: ApiContext, tenantId: string): Promise<Readonly<Record<string, unknown>>> {
  const tenant = await backend.store.doc('TENANT', tenantId, tenantId);
  const profile = tenant?.body['tenantProfileId'] as EntityRef | undefined;
  const owner = profile ? await backend.store.ownerOf('TENANT_PROFILE', profile.id) : null;
  const doc = profile && owner !== null ? await backend.store.doc('TENANT_PROFILE', owner, profile.id) : null;
  return ((doc?.body['profileData'] as { configuration?: Record<string, unknown> } | undefined)?.configuration ?? {}) as Record<string, unknown>;
}
