import { entityLabel } from '#engine/entities.ts';
import { ENTITY_TYPES, type EntityType } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

/** `Device profile`, `Rule chain`; `TB_RESOURCE` is `Resource`. */
const LABELS = new Map<EntityType, string>(ENTITY_TYPES.map((type) => [type, entityLabel(type.replace(/^TB_/, ''))]));

export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbOriginatorTypeSwitchNode',
  version: 0,
  family: 'FILTER',
  label: 'entity type switch',
  summary: 'Sends the message to the relation named after the type of its originator.',
  relations: [...LABELS.values()],
  ...NO_CONFIG,
  process: (message) => LABELS.get(message.originator.entityType)!,
});
