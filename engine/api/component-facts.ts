import type { AnyNode } from '../node.ts';

/**
 * What ThingsBoard's own editor looks a node's form and picture up by. Ours draws forms from the schema; these are there for clients that expect the keys
 * filled as the original does. Nodes that are not listed have the plainest values.
 */
const FORMS: Readonly<Record<string, readonly [configDirective: string, icon?: string]>> = {
  'flow.TbRuleChainOutputNode': ['tbFlowNodeRuleChainOutputConfig'],
  'flow.TbRuleChainInputNode': ['tbFlowNodeRuleChainInputConfig'],
  'filter.TbJsSwitchNode': ['tbFilterNodeSwitchConfig'],
  'filter.TbJsFilterNode': ['tbFilterNodeScriptConfig'],
  'filter.TbMsgTypeFilterNode': ['tbFilterNodeMessageTypeConfig'],
  'filter.TbOriginatorTypeFilterNode': ['tbFilterNodeOriginatorTypeConfig'],
  'filter.TbCheckMessageNode': ['tbFilterNodeCheckMessageConfig'],
  'filter.TbCheckRelationNode': ['tbFilterNodeCheckRelationConfig'],
  'filter.TbCheckAlarmStatusNode': ['tbFilterNodeCheckAlarmStatusConfig'],
  'geo.TbGpsGeofencingFilterNode': ['tbFilterNodeGpsGeofencingConfig'],
  'telemetry.TbMsgTimeseriesNode': ['tbActionNodeTimeseriesConfig', 'file_upload'],
  'rest.TbRestApiCallNode': ['tbExternalNodeRestApiCallConfig'],
  'action.TbCreateAlarmNode': ['tbActionNodeCreateAlarmConfig', 'notifications_active'],
  'rpc.TbSendRPCRequestNode': ['tbActionNodeRpcRequestConfig', 'call_made'],
};
/** Pages whose address is not the node's name. */
const PAGES: Readonly<Record<string, string>> = { 'telemetry.TbMsgTimeseriesNode': 'save-timeseries', 'delay.TbMsgDelayNode': 'delay' };
const DOCS = 'https://thingsboard.io/docs/user-guide/rule-engine-2-0/nodes';
const PREFIX = 'org.thingsboard.rule.engine.';

export function componentFacts(node: AnyNode): { configDirective: string; icon: string; docUrl: string } {
  const key = node.type.startsWith(PREFIX) ? node.type.slice(PREFIX.length) : null;
  if (key === null) return { configDirective: '', icon: '', docUrl: '' };
  const [configDirective = 'tbNodeEmptyConfig', icon = ''] = FORMS[key] ?? [];
  const page = PAGES[key] ?? node.label.replaceAll(' ', '-');
  return { configDirective, icon, docUrl: `${DOCS}/${node.family.toLowerCase()}/${page}/` };
}
