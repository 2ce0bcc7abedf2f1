import { entityJson } from '#engine/entities.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['TENANT', 'CUSTOMER', 'USER', 'ASSET', 'DEVICE', 'ALARM', 'RULE_CHAIN', 'ENTITY_VIEW', 'EDGE']);

/** The entity as REST shows it. @throws Error when it is gone, or of a type that has no fields for messages. */
export async function entityFields({ entityType, id }: EntityRef, entities: Pick<Services['entities'], 'find'>): Promise<Record<string, unknown>> {
  if (!SUPPORTED.has(entityType)) throw new Error(`Unexpected originator EntityType: ${entityType}`);
  const doc = await entities.find({ entityType, id });
  if (!doc) throw new Error('Entity not found!');
  const fields = entityJson(doc);
  // The original's tenant is its own tenant; REST does not tell.
  return entityType === 'TENANT' ? { ...fields, tenantId: { entityType, id } } : fields;
}

/** undefined: there is no such property. An id is its UUID, and nothing is inside it. Dots at the end of the path mean nothing. */
export function fieldText(entity: Record<string, unknown>, path: string): string | null | undefined {
  let at: unknown = entity;
  for (const step of path.replace(/\.+$/, '').split('.')) {
    if (!isRecord(at) || isId(at) || !Object.hasOwn(at, step)) return undefined;
    at = at[step];
  }
  if (at === null || at === undefined) return at;
  if (isId(at)) return at.id;
  return typeof at === 'object' ? JSON.stringify(at) : String(at);
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
/** The entity itself has an id too, but as an object. */
const isId = (value: unknown): value is { id: string } =>
  isRecord(value) && typeof value['id'] === 'string' && typeof value['entityType'] === 'string';
