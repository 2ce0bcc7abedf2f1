import type { AnyNode } from '#engine/node.ts';
import addToGroup from './nodes/action/add-to-group.ts';
import assignToCustomer from './nodes/action/assign-to-customer.ts';
import calculatedFields from './nodes/action/calculated-fields.ts';
import changeOwner from './nodes/action/change-owner.ts';
import clearAlarm from './nodes/action/clear-alarm.ts';
import copyToView from './nodes/action/copy-to-view.ts';
import createAlarm from './nodes/action/create-alarm.ts';
import createRelation from './nodes/action/create-relation.ts';
import delay from './nodes/action/delay.ts';
import deleteAttributes from './nodes/action/delete-attributes.ts';
import deleteRelation from './nodes/action/delete-relation.ts';
import deviceProfile from './nodes/action/device-profile.ts';
import deviceState from './nodes/action/device-state.ts';
import generateDashboardReport from './nodes/action/generate-report.ts';
import generateReport from './nodes/action/generate-report-v2.ts';
import generator from './nodes/action/generator.ts';
import gpsGeofencingEvents from './nodes/action/gps-geofencing-events.ts';
import integrationDownlink from './nodes/action/integration-downlink.ts';
import log from './nodes/action/log.ts';
import math from './nodes/action/math.ts';
import messageCount from './nodes/action/message-count.ts';
import pushToCloud from './nodes/action/push-to-cloud.ts';
import pushToEdge from './nodes/action/push-to-edge.ts';
import removeFromGroup from './nodes/action/remove-from-group.ts';
import restReply from './nodes/action/rest-reply.ts';
import rpcReply from './nodes/action/rpc-reply.ts';
import rpcRequest from './nodes/action/rpc-request.ts';
import saveAttributes from './nodes/action/save-attributes.ts';
import saveTimeseries from './nodes/action/save-timeseries.ts';
import saveToCustomTable from './nodes/action/save-to-custom-table.ts';
import synchronizationEnd from './nodes/action/synchronization-end.ts';
import synchronizationStart from './nodes/action/synchronization-start.ts';
import unassignFromCustomer from './nodes/action/unassign-from-customer.ts';
import aggregateLatest from './nodes/analytics/aggregate-latest.ts';
import aggregateStream from './nodes/analytics/aggregate-stream.ts';
import alarmsCount from './nodes/analytics/alarms-count.ts';
import calculateDelta from './nodes/enrichment/calculate-delta.ts';
import customerAttributes from './nodes/enrichment/customer-attributes.ts';
import customerDetails from './nodes/enrichment/customer-details.ts';
import fetchDeviceCredentials from './nodes/enrichment/fetch-device-credentials.ts';
import originatorAttributes from './nodes/enrichment/originator-attributes.ts';
import originatorFields from './nodes/enrichment/originator-fields.ts';
import originatorTelemetry from './nodes/enrichment/originator-telemetry.ts';
import relatedDeviceAttributes from './nodes/enrichment/related-device-attributes.ts';
import relatedEntityData from './nodes/enrichment/related-entity-data.ts';
import tenantAttributes from './nodes/enrichment/tenant-attributes.ts';
import tenantDetails from './nodes/enrichment/tenant-details.ts';
import aiRequest from './nodes/external/ai-request.ts';
import awsLambda from './nodes/external/aws-lambda.ts';
import awsSns from './nodes/external/aws-sns.ts';
import awsSqs from './nodes/external/aws-sqs.ts';
import azureIotHub from './nodes/external/azure-iot-hub.ts';
import gcpPubSub from './nodes/external/gcp-pubsub.ts';
import kafka from './nodes/external/kafka.ts';
import mqtt from './nodes/external/mqtt.ts';
import rabbitmq from './nodes/external/rabbitmq.ts';
import restApiCall from './nodes/external/rest-api-call.ts';
import sendEmail from './nodes/external/send-email.ts';
import sendNotification from './nodes/external/send-notification.ts';
import sendSms from './nodes/external/send-sms.ts';
import sendToSlack from './nodes/external/send-to-slack.ts';
import twilioSms from './nodes/external/twilio-sms.ts';
import twilioVoice from './nodes/external/twilio-voice.ts';
import alarmStatus from './nodes/filter/alarm-status.ts';
import assetProfileSwitch from './nodes/filter/asset-profile-switch.ts';
import checkFields from './nodes/filter/check-fields.ts';
import checkRelation from './nodes/filter/check-relation.ts';
import deviceProfileSwitch from './nodes/filter/device-profile-switch.ts';
import entityTypeFilter from './nodes/filter/entity-type-filter.ts';
import entityTypeSwitch from './nodes/filter/entity-type-switch.ts';
import gpsGeofencing from './nodes/filter/gps-geofencing.ts';
import messageTypeFilter from './nodes/filter/message-type-filter.ts';
import messageTypeSwitch from './nodes/filter/message-type-switch.ts';
import scriptFilter from './nodes/filter/script-filter.ts';
import scriptSwitch from './nodes/filter/switch.ts';
import acknowledge from './nodes/flow/acknowledge.ts';
import checkpoint from './nodes/flow/checkpoint.ts';
import output from './nodes/flow/output.ts';
import ruleChain from './nodes/flow/rule-chain.ts';
import changeOriginator from './nodes/transformation/change-originator.ts';
import copyKeys from './nodes/transformation/copy-keys.ts';
import deduplication from './nodes/transformation/deduplication.ts';
import deleteKeys from './nodes/transformation/delete-keys.ts';
import duplicateToGroup from './nodes/transformation/duplicate-to-group.ts';
import duplicateToGroupByName from './nodes/transformation/duplicate-to-group-by-name.ts';
import duplicateToRelated from './nodes/transformation/duplicate-to-related.ts';
import jsonPath from './nodes/transformation/json-path.ts';
import renameKeys from './nodes/transformation/rename-keys.ts';
import scriptTransform from './nodes/transformation/script-transform.ts';
import splitArray from './nodes/transformation/split-array.ts';
import toEmail from './nodes/transformation/to-email.ts';

/** Every rule node there is. A new one is a line here and its file. */
export const nodes: readonly AnyNode[] = [
  scriptFilter,
  scriptSwitch,
  messageTypeFilter,
  messageTypeSwitch,
  entityTypeFilter,
  entityTypeSwitch,
  deviceProfileSwitch,
  assetProfileSwitch,
  alarmStatus,
  checkFields,
  checkRelation,
  gpsGeofencing,
  originatorAttributes,
  relatedDeviceAttributes,
  customerAttributes,
  tenantAttributes,
  relatedEntityData,
  originatorTelemetry,
  originatorFields,
  customerDetails,
  tenantDetails,
  fetchDeviceCredentials,
  calculateDelta,
  scriptTransform,
  duplicateToGroup,
  duplicateToGroupByName,
  duplicateToRelated,
  changeOriginator,
  copyKeys,
  deleteKeys,
  renameKeys,
  jsonPath,
  splitArray,
  deduplication,
  toEmail,
  saveTimeseries,
  saveAttributes,
  deleteAttributes,
  calculatedFields,
  createAlarm,
  clearAlarm,
  log,
  messageCount,
  assignToCustomer,
  unassignFromCustomer,
  createRelation,
  deleteRelation,
  deviceState,
  copyToView,
  saveToCustomTable,
  gpsGeofencingEvents,
  math,
  generator,
  delay,
  rpcRequest,
  rpcReply,
  restReply,
  pushToEdge,
  pushToCloud,
  integrationDownlink,
  addToGroup,
  removeFromGroup,
  changeOwner,
  generateReport,
  generateDashboardReport,
  deviceProfile,
  synchronizationStart,
  synchronizationEnd,
  aggregateLatest,
  aggregateStream,
  alarmsCount,
  restApiCall,
  kafka,
  rabbitmq,
  awsSns,
  awsSqs,
  awsLambda,
  gcpPubSub,
  sendEmail,
  sendSms,
  sendNotification,
  mqtt,
  azureIotHub,
  aiRequest,
  sendToSlack,
  twilioSms,
  twilioVoice,
  output,
  checkpoint,
  ruleChain,
  acknowledge,
];
