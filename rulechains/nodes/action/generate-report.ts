import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

const NO_SERVER =
  'There is no reports server here: no report is generated. Take this node out of the chain, or connect its Failure to a rest api call node that asks a reports server of your own.';

const text = (title: string, description: string) => nullable(Type.String(), { title, description });

export default defineNode({
  type: 'org.thingsboard.rule.engine.report.TbGenerateReportNode',
  aliases: ['org.thingsboard.rule.engine.action.TbGenerateReportNode', 'org.thingsboard.rule.engine.action.TbGenerateDashboardReportNode'],
  version: 0,
  family: 'ACTION',
  label: 'generate dashboard report',
  summary: 'Would capture a dashboard as a file. There is no reports server here: every message leaves by Failure.',
  notice: NO_SERVER,
  relations: ['Success'],
  config: Config({
    useSystemReportsServer: Type.Boolean({ title: 'Reports server of the system', description: 'Kept for files.' }),
    reportsServerEndpointUrl: text('Reports server', 'Its URL, when it is not that of the system. Kept for files.'),
    useReportConfigFromMessage: Type.Boolean({ title: 'Report from the message', description: 'Its data has reportConfig. Kept for files.' }),
    reportConfig: nullable(Type.Record(Type.String(), Type.Unknown()), {
      title: 'Report',
      description: 'baseUrl, dashboardId, state, timezone, timewindow, namePattern, type, userId. Kept for files.',
    }),
  }),
  defaults: { useSystemReportsServer: true, reportsServerEndpointUrl: null, useReportConfigFromMessage: true, reportConfig: null },
  anyKey: true,
  process: () => ({ to: 'Failure', error: NO_SERVER }),
});
