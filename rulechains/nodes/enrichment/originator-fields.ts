import { Type } from 'typebox';
import type { Json } from '#engine/json.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { checkFetchTo, checkTarget, enriched, type FetchTo } from '../../shared/enrich.ts';
import { entityFields, fieldText } from '../../shared/entity-fields.ts';
import { fetchTo } from '../../shared/fields.ts';
import { checkMapping, mappingField } from '../../shared/mapped-data.ts';
import { fillRequired } from '../../shared/required-pattern.ts';

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
    dataMapping: mappingField('Property of the originator (dotted path) → key in the message (pattern).', [
      { name: 'deviceName', 'additionalInfo.description': 'about' },
    ]),
    ignoreNullStrings: Type.Boolean({
      title: 'Skip empty fields',
      description: 'Off: a property that is empty is added, one that is null as the text null.',
    }),
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
    checkMapping(config.dataMapping);
    checkFetchTo(config.fetchTo);
  },
  async process(message, { config, entities }) {
    checkTarget(message, config.fetchTo);
    const entity = await entityFields(message.originator, entities);
    const found: [string, Json][] = [];
    for (const [path, target] of Object.entries(config.dataMapping!)) {
      const text = fieldText(entity, path);
      if (text === undefined || (!text && config.ignoreNullStrings)) continue;
      found.push([fillRequired(target, message), String(text)]);
    }
    return { to: 'Success', message: enriched(message, config.fetchTo as FetchTo, found) };
  },
});
