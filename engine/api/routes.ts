import type { FastifyInstance } from 'fastify';
import aiModels from './ai-models.ts';
import alarmComments from './alarm-comments.ts';
import alarmQueries from './alarm-queries.ts';
import alarms from './alarms.ts';
import apiKeys from './api-keys.ts';
import assets from './assets.ts';
import attributes from './attributes.ts';
import bulkImport from './bulk-import.ts';
import chainTests from './chain-tests.ts';
import components from './components.ts';
import type { ApiContext } from './context.ts';
import converterTests from './converter-tests.ts';
import converters from './converters.ts';
import customers from './customers.ts';
import dashboards from './dashboards.ts';
import deadLetters from './dead-letters.ts';
import deviceApi from './device-api.ts';
import devices from './devices.ts';
import downlinks from './downlinks.ts';
import emptyLists from './empty-lists.ts';
import entityQueries from './entity-queries.ts';
import entityViews from './entity-views.ts';
import events from './events.ts';
import groups from './groups.ts';
import health from './health.ts';
import inbound from './inbound.ts';
import integrations from './integrations.ts';
import ledgers from './ledgers.ts';
import login from './login.ts';
import messages from './messages.ts';
import metrics from './metrics.ts';
import notifications from './notifications.ts';
import persistentRpc from './persistent-rpc.ts';
import processes from './processes.ts';
import { assetProfiles, deviceProfiles } from './profiles.ts';
import queues from './queues.ts';
import relations from './relations.ts';
import revisions from './revisions.ts';
import rpc from './rpc.ts';
import ruleChainFiles from './rule-chain-files.ts';
import ruleChains from './rule-chains.ts';
import ruleEngine from './rule-engine.ts';
import statistics from './statistics.ts';
import system from './system.ts';
import telemetry from './telemetry.ts';
import tenantProfiles from './tenant-profiles.ts';
import tenants from './tenants.ts';
import testScript from './test-script.ts';
import userSettings from './user-settings.ts';
import users from './users.ts';

export type Routes = (app: FastifyInstance, context: ApiContext) => Promise<void>;

/** Every resource of the API, by hand. */
export const ROUTES: readonly Routes[] = [
  aiModels,
  apiKeys,
  assets,
  bulkImport,
  customers,
  dashboards,
  devices,
  emptyLists,
  entityViews,
  groups,
  login,
  notifications,
  processes,
  queues,
  relations,
  statistics,
  system,
  tenantProfiles,
  tenants,
  userSettings,
  users,
  assetProfiles,
  deviceProfiles,
  attributes,
  components,
  persistentRpc,
  rpc,
  revisions,
  chainTests,
  ruleChainFiles,
  ruleChains,
  ruleEngine,
  telemetry,
  testScript,
  events,
  converters,
  converterTests,
  integrations,
  inbound,
  deviceApi,
  ledgers,
  deadLetters,
  downlinks,
  health,
  messages,
  metrics,
  alarms,
  alarmComments,
  alarmQueries,
  entityQueries,
];
