import { Type } from 'typebox';
import { entityJson } from '#engine/entities.ts';
import type { Json } from '#engine/json.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { checkFetchTo, checkTarget, enriched } from '../../shared/enrich.ts';
import { fetchTo, nullable } from '../../shared/fields.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['TENANT', 'CUSTOMER', 'USER', 'ASSET', 'DEVICE', 'ALARM', 'RULE_CHAIN', 'ENTITY_VIEW', 'EDGE']);

/** Reads the entity as REST shows it. A property that it does not have is never written; one that is null is the text `null` (rule-nodes §7 row 8). */
export default defineNode({
  type: 'org.thingsboard.rule.engine.metadata.TbGetOriginatorFieldsNode',
  version: 1,
  family: 'ENRICHMENT',
  label: 'originator fields',
  summary: 'Adds properties of the originator, such as its name and type, to the message.',
  relations: ['Success'],
  config: Config({
    fetchTo,
    dataMapping: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
      title: 'Fields',
      description: 'Property of the originator (dotted path) → key in the message (pattern).',
      examples: [{ name: 'deviceName', 'additionalInfo.description': 'about' }],
    }),
    ignoreNullStrings: Type.Boolean({ title: 'Skip empty fields', description: 'Off: a property that is null is added as the text null.' }),
  }),
  defaults: { fetchTo: 'METADATA', dataMapping: { name: 'originatorName', type: 'originatorType' }, ignoreNullStrings: false },
  upgrades: [
    ({ fieldsMapping, ...config }) => {
      if (fieldsMapping === undefined) throw new Error('Property fieldsMapping is missing!');
      return { ...config, dataMapping: fieldsMapping, fetchTo: 'METADATA' };
    },
  ],
  needs: ['entities'],
  start({ config }) {
    if (Object.keys(config.dataMapping ?? {}).length === 0) throw new Error('At least one mapping entry should be specified!');
    checkFetchTo(config.fetchTo);
  },
  async process(message, { config, entities }) {
    checkTarget(message, config.fetchTo!);
    const { entityType } = message.originator;
    if (!SUPPORTED.has(entityType)) throw new Error(`Unexpected originator EntityType: ${entityType}`);
    const doc = await entities.find(message.originator);
    if (!doc) throw new Error(`${entityType} ${message.originator.id} was not found!`);
    const entity = entityJson(doc);
    const found: [string, Json][] = [];
    for (const [path, target] of Object.entries(config.dataMapping!)) {
      const text = fieldText(entity, path);
      if (text === undefined || (text === null && config.ignoreNullStrings)) continue;
      found.push([fillPattern(target ?? '', message), String(text)]);
    }
    return { to: 'Success', message: enriched(message, config.fetchTo!, found) };
  },
});

/** undefined: there is no such property. An id is its UUID, and nothing is inside it. */
function fieldText(entity: Record<string, unknown>, path: string): string | null | undefined {
  let at: unknown = entity;
  for (const step of path.split('.')) {
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
