import { Type } from 'typebox';
import { fromValue, type Json } from '#engine/json.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import { fillPattern } from '#engine/pattern.ts';
import type { Services } from '#engine/services.ts';
import { checkFetchTo, enriched, type FetchTo } from './enrich.ts';
import { entityFields, fieldText } from './entity-fields.ts';
import { checkAttributeKeys, checkTelemetryKeys } from './fetch-attributes.ts';
import { fetchTo, nullable } from './fields.ts';
import { fillRequired } from './required-pattern.ts';

/** Server attributes, latest telemetry or fields of one entity, under other names in the message: customer and tenant attributes, related entity data. */

export const mappingField = (description: string, examples: readonly Record<string, string>[]) =>
  nullable(Type.Record(Type.String(), nullable(Type.String(), { title: 'Key', description: 'In the message; a pattern.' })), {
    title: 'Values',
    description,
    examples,
  });

export const mappedFields = {
  fetchTo,
  dataToFetch: nullable(Type.Enum(['ATTRIBUTES', 'LATEST_TELEMETRY', 'FIELDS']), {
    title: 'What to add',
    description: 'Server attributes, latest telemetry, or (of a related entity) its own fields.',
  }),
  dataMapping: mappingField('Name at the entity → key in the message; both are patterns.', [{ alarmThreshold: 'threshold' }]),
} as const;

interface Mapped {
  readonly fetchTo: string | null;
  readonly dataToFetch: string | null;
  readonly dataMapping: Record<string, string | null> | null;
}

/** For `start`. @throws Error when the configuration can not be used. */
export function checkMapped({ fetchTo, dataToFetch, dataMapping }: Mapped, allowed: readonly string[]): void {
  checkMapping(dataMapping);
  if (dataToFetch === null && allowed.includes('FIELDS'))
    throw new Error(`DataToFetch property cannot be null! Supported values are: [${allowed.join(', ')}]`);
  if (dataToFetch === null || !allowed.includes(dataToFetch)) {
    const names = `${allowed.slice(0, -1).join(', ')} and ${allowed.at(-1)}`;
    throw new Error(`DataToFetch property has invalid value: ${dataToFetch}. Only ${names} values supported!`);
  }
  checkFetchTo(fetchTo);
}

export function checkMapping(mapping: Record<string, unknown> | null): void {
  if (Object.keys(mapping ?? {}).length === 0) throw new Error('At least one mapping entry should be specified!');
}

/** 0→1: both old keys are needed. @throws Error when one is missing (rule-nodes §1.5). */
export function mappedToVersion1({ attrMapping, telemetry, ...config }: Record<string, unknown>): Record<string, unknown> {
  if (attrMapping === undefined) throw new Error("property to update: 'attrMapping' does not exist in configuration.");
  if (String(telemetry) !== 'true' && String(telemetry) !== 'false') {
    throw new Error(`property to update: 'telemetry' has unexpected value: ${String(telemetry)}. Allowed values: true or false!`);
  }
  return { ...config, dataMapping: attrMapping, dataToFetch: String(telemetry) === 'true' ? 'LATEST_TELEMETRY' : 'ATTRIBUTES', fetchTo: 'METADATA' };
}

/** What does not exist is left out; only latest telemetry that is added to data is null then (rule-nodes §7 row 9). */
export async function withMappedData(
  message: Message,
  entity: EntityRef,
  config: Mapped,
  services: Pick<Services, 'attributes' | 'telemetry'> & { readonly entities: Pick<Services['entities'], 'find'> },
): Promise<Message> {
  return enriched(message, config.fetchTo as FetchTo, await mapped(message, entity, config, services));
}

async function mapped(
  message: Message,
  entity: EntityRef,
  { fetchTo, dataToFetch, dataMapping }: Mapped,
  { attributes, telemetry, entities }: Parameters<typeof withMappedData>[3],
): Promise<[key: string, value: Json][]> {
  const pairs = Object.entries(dataMapping!);
  if (dataToFetch === 'FIELDS') {
    const fields = await entityFields(entity, entities);
    return pairs.flatMap(([path, target]): [string, Json][] => {
      const text = fieldText(fields, path);
      return text ? [[fillRequired(target, message), text]] : [];
    });
  }
  const targets = new Map(pairs.map(([source, target]) => [fillPattern(source, message), fillRequired(target, message)]));
  const keys = [...targets.keys()];
  if (dataToFetch === 'ATTRIBUTES') {
    checkAttributeKeys(keys);
    return (await attributes.find(entity, 'SERVER_SCOPE', keys)).map(({ key, value }) => [targets.get(key)!, fromValue(value)]);
  }
  checkTelemetryKeys(keys);
  const points = await telemetry.latest(entity, keys);
  return keys.flatMap((key): [string, Json][] => {
    const point = points.get(key);
    if (point) return [[targets.get(key)!, fromValue(point.value)]];
    return fetchTo === 'DATA' ? [[targets.get(key)!, null]] : [];
  });
}
