import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { DEFAULT_RELATIONS_QUERY, relationsQuery } from '../../shared/fields.ts';
import { duplicates } from '../../shared/groups.ts';
import { toRelationsQuery } from '../../shared/relations.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbDuplicateMsgToRelatedNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'duplicate to related',
  summary: 'Makes a message of each related entity, with that one as originator.',
  relations: ['Success'],
  config: Config({ relationsQuery: relationsQuery({ title: 'Relations', description: 'Where the related entities are looked for.' }) }),
  defaults: { relationsQuery: DEFAULT_RELATIONS_QUERY },
  needs: ['relations'],
  start({ config }) {
    if (config.relationsQuery === null) throw new Error('Relations query should be specified!');
  },
  async process(message, { config, relations }) {
    const related = await relations.search(message.originator, toRelationsQuery(config.relationsQuery!));
    if (related.length === 0) throw new Error(`No related entities are found for ${message.originator.entityType} [${message.originator.id}]!`);
    return duplicates(message, related);
  },
});
