import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

const NO_TEMPLATES =
  'There are no report templates here: no report is generated. Take this node out of the chain, or connect its Failure to a rest api call node that asks a report service of your own.';

export default defineNode({
  type: 'org.thingsboard.rule.engine.report.TbGenerateReportV2Node',
  aliases: [
    'org.thingsboard.rule.engine.action.TbGenerateReportV2Node',
    'org.thingsboard.rule.engine.report.TbGenerateReportNodeV2',
    'org.thingsboard.rule.engine.action.TbGenerateReportNodeV2',
  ],
  version: 0,
  family: 'ACTION',
  label: 'generate report',
  summary: 'Would generate a report from a template. There are none here: every message leaves by Failure.',
  notice: NO_TEMPLATES,
  relations: ['Success'],
  config: Config({
    useConfigFromMessage: Type.Boolean({ title: 'Report from the message', description: 'Its data says which. Kept for files.' }),
    config: nullable(Type.Record(Type.String(), Type.Unknown()), {
      title: 'Report',
      description: 'reportTemplateId, userId, timezone, targets, notificationTemplateId. Kept for files.',
    }),
  }),
  defaults: { useConfigFromMessage: false, config: null },
  anyKey: true,
  process: () => ({ to: 'Failure', error: NO_TEMPLATES }),
});
