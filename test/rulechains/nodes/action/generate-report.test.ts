import assert from 'node:assert/strict';
import test from 'node:test';
import type { AnyNode } from '#engine/node.ts';
import { Registry } from '#engine/registry.ts';
import { nodes } from '#rulechains/index.ts';
import dashboardReport from '#rulechains/nodes/action/generate-report.ts';
import report from '#rulechains/nodes/action/generate-report-v2.ts';
import { message } from '../../../support/message.ts';
import { run } from '../../../support/services.ts';

for (const { node, exact } of [
  {
    node: dashboardReport,
    exact: { useSystemReportsServer: true, useReportConfigFromMessage: false, reportConfig: { baseUrl: 'http://x', type: 'pdf', timewindow: {} } },
  },
  {
    node: report,
    exact: { useConfigFromMessage: false, config: { reportTemplateId: { entityType: 'REPORT_TEMPLATE', id: 'x' }, targets: [] }, other: 1 },
  },
] as { node: AnyNode; exact: unknown }[])
  test(`${node.label}: starts, says what is missing, and every message leaves by Failure with it`, async () => {
    assert.match(node.notice!, /no report is generated\. Take this node out of the chain, or connect its Failure/);
    for (const data of ['', '{}', '[1]']) assert.deepEqual(await run(node, [message({ data })], { exact }), [{ to: 'Failure', error: node.notice }]);
  });

test('nodes whose class name is a guess are found under the others', () => {
  const registry = new Registry(nodes);
  const found = (type: string) => registry.get(`org.thingsboard.rule.engine.${type}`)?.label;
  assert.deepEqual(
    [
      'report.TbGenerateReportNode',
      'action.TbGenerateReportNode',
      'report.TbGenerateReportV2Node',
      'analytics.latest.alarm.TbAlarmsCountNodeV2',
      'analytics.latest.telemetry.TbAggLatestTelemetryNodeV2',
    ].map(found),
    ['generate dashboard report', 'generate dashboard report', 'generate report', 'alarms count', 'aggregate latest'],
  );
});
