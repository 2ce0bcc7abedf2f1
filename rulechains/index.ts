import type { AnyNode } from '#engine/node.ts';
import clearAlarm from './nodes/action/clear-alarm.ts';
import createAlarm from './nodes/action/create-alarm.ts';
import deleteAttributes from './nodes/action/delete-attributes.ts';
import generator from './nodes/action/generator.ts';
import integrationDownlink from './nodes/action/integration-downlink.ts';
import log from './nodes/action/log.ts';
import restReply from './nodes/action/rest-reply.ts';
import rpcReply from './nodes/action/rpc-reply.ts';
import rpcRequest from './nodes/action/rpc-request.ts';
import saveAttributes from './nodes/action/save-attributes.ts';
import saveTimeseries from './nodes/action/save-timeseries.ts';
import originatorAttributes from './nodes/enrichment/originator-attributes.ts';
import originatorFields from './nodes/enrichment/originator-fields.ts';
import checkFields from './nodes/filter/check-fields.ts';
import entityTypeFilter from './nodes/filter/entity-type-filter.ts';
import entityTypeSwitch from './nodes/filter/entity-type-switch.ts';
import messageTypeFilter from './nodes/filter/message-type-filter.ts';
import messageTypeSwitch from './nodes/filter/message-type-switch.ts';
import scriptFilter from './nodes/filter/script-filter.ts';
import scriptSwitch from './nodes/filter/switch.ts';
import acknowledge from './nodes/flow/acknowledge.ts';
import checkpoint from './nodes/flow/checkpoint.ts';
import output from './nodes/flow/output.ts';
import ruleChain from './nodes/flow/rule-chain.ts';
import changeOriginator from './nodes/transformation/change-originator.ts';
import renameKeys from './nodes/transformation/rename-keys.ts';
import scriptTransform from './nodes/transformation/script-transform.ts';

/** Every rule node there is. A new one is a line here and its file. */
export const nodes: readonly AnyNode[] = [
  scriptFilter,
  scriptSwitch,
  messageTypeFilter,
  messageTypeSwitch,
  entityTypeFilter,
  entityTypeSwitch,
  checkFields,
  originatorAttributes,
  originatorFields,
  scriptTransform,
  changeOriginator,
  renameKeys,
  saveTimeseries,
  saveAttributes,
  deleteAttributes,
  createAlarm,
  clearAlarm,
  log,
  generator,
  rpcRequest,
  rpcReply,
  restReply,
  integrationDownlink,
  output,
  checkpoint,
  ruleChain,
  acknowledge,
];
