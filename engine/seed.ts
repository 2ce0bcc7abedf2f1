import { NO_CONTACT, newAssetProfile, newDeviceProfile, newDoc, newGroup } from './entities.ts';
import { Duplicate, VersionConflict } from './errors.ts';
import { newId } from './id.ts';
import { type EntityRef, NULL_ID } from './message.ts';
import { hashPassword, passwordMatches } from './passwords.ts';
import type { Backend } from './queue.ts';
import { Registry } from './registry.ts';
import type { Doc } from './store.ts';
import { checkGraph, readChainFile } from './walk/graph.ts';
import { Work } from './work.ts';

/** What a fresh data folder begins with: the system's own documents, and a tenant one can log in to. */

export interface SeedOptions {
  readonly tenantPassword: string;
  readonly sysadminPassword: string;
  /** `rulechains/chains/root.json`: the root chain of every new tenant. */
  readonly rootChain: unknown;
  readonly now: number;
}

export const SYSADMIN = 'sysadmin@thingsboard.org';
export const TENANT_ADMIN = 'tenant@thingsboard.org';
export const GROUP_TYPES = ['CUSTOMER', 'ASSET', 'DEVICE', 'USER', 'ENTITY_VIEW', 'DASHBOARD', 'EDGE'] as const;

/** Everybody knows them: good for loopback only. */
export const DEMO_PASSWORDS = { [TENANT_ADMIN]: 'tenant', [SYSADMIN]: 'sysadmin' } as const;

/**
 * One commit: either everything is there or nothing, so a start that was cut off simply seeds again. A folder that has its accounts keeps their passwords,
 * but for the demo ones: those give way to what was given, as the server may now listen to others.
 */
export async function seed(backend: Backend, options: SeedOptions): Promise<{ fresh: boolean }> {
  try {
    return await seedOnce(backend, options);
  } catch (cause) {
    // Another process began at the same moment and was first.
    if (!(cause instanceof Duplicate || cause instanceof VersionConflict)) throw cause;
    return seedOnce(backend, options);
  }
}

async function seedOnce(backend: Backend, { tenantPassword, sysadminPassword, rootChain, now }: SeedOptions): Promise<{ fresh: boolean }> {
  if (await backend.store.docByKey('USER', SYSADMIN)) {
    await replaceDemoPasswords(backend, { [TENANT_ADMIN]: tenantPassword, [SYSADMIN]: sysadminPassword }, now);
    return { fresh: false };
  }
  const work = new Work();
  const profile = newTenantProfile({ name: 'Default', description: 'Default tenant profile', default: true, configuration: DEFAULT_LIMITS }, now);
  const tenant = newTenant({ title: 'Tenant' }, profile.id, now);
  for (const doc of [profile, ...queues(now), tenant]) work.docs.push({ doc, expects: 0 });
  addTenantParts(work, tenant.id, rootChain, now);
  for (const { user, credentials } of [
    newUser({ tenantId: NULL_ID, email: SYSADMIN, authority: 'SYS_ADMIN', password: await hashPassword(sysadminPassword) }, now),
    newUser({ tenantId: tenant.id, email: TENANT_ADMIN, authority: 'TENANT_ADMIN', password: await hashPassword(tenantPassword) }, now),
  ]) {
    work.docs.push({ doc: user, expects: 0 }, { doc: credentials, expects: 0 });
  }
  await backend.commit(work);
  return { fresh: true };
}

async function replaceDemoPasswords(backend: Backend, given: Readonly<Record<keyof typeof DEMO_PASSWORDS, string>>, now: number): Promise<void> {
  const work = new Work();
  for (const email of [TENANT_ADMIN, SYSADMIN] as const) {
    if (given[email] === DEMO_PASSWORDS[email]) continue;
    const user = await backend.store.docByKey('USER', email);
    const credentials = user && (await backend.store.docByKey('USER_CREDENTIALS', user.id));
    if (!credentials || !(await passwordMatches(DEMO_PASSWORDS[email], credentials.body['password'] as string | null))) continue;
    // Logins of the old password end with it.
    const body = { ...credentials.body, password: await hashPassword(given[email]), validFrom: Math.floor(now / 1000) };
    work.docs.push({ doc: { ...credentials, body }, expects: credentials.version });
  }
  if (!work.isEmpty) await backend.commit(work);
}

export function newTenant(fields: Record<string, unknown> & { readonly title: string }, profileId: string, now: number): Doc {
  const { title, ...rest } = fields;
  const id = newId(now);
  const body = { ...NO_CONTACT, region: 'Global', tenantProfileId: { entityType: 'TENANT_PROFILE', id: profileId }, additionalInfo: null, ...rest };
  return newDoc({ id, collection: 'TENANT', tenantId: id, name: title, body }, now);
}

/** What every tenant has from its first moment: default profiles, the root chain, the groups `All`. */
export function addTenantParts(work: Work, tenantId: string, rootChain: unknown, now: number): void {
  const device = newDeviceProfile(tenantId, 'default', now, { description: 'Default device profile', default: true });
  const asset = newAssetProfile(tenantId, 'default', now, { description: 'Default asset profile', default: true });
  for (const doc of [device, asset]) work.docs.push({ doc: { ...doc, state: 'DEFAULT' }, expects: 0 });
  addRootChain(work, tenantId, rootChain, now);
  addOwnerGroups(work, tenantId, { entityType: 'TENANT', id: tenantId }, now);
}

/** The reserved groups `All` of an owner, one for each type. */
export function addOwnerGroups(work: Work, tenantId: string, owner: EntityRef, now: number): void {
  for (const type of GROUP_TYPES) work.docs.push({ doc: newGroup(tenantId, { type, name: 'All', owner, all: true }, now), expects: 0 });
}

function addRootChain(work: Work, tenantId: string, file: unknown, now: number): void {
  const { name, debugMode, configuration, additionalInfo, metadata } = readChainFile(file);
  const id = newId(now);
  // The shipped file is in today's form: nothing in it needs a definition to be upgraded.
  const options = { chainId: id, nodes: new Registry([]), current: null, chainName: () => null, newId: () => newId(now), now };
  const graph = checkGraph(metadata, options);
  const entry = graph.firstNodeIndex === null ? null : (graph.nodes[graph.firstNodeIndex]?.id ?? null);
  const body = { firstRuleNodeId: entry, debugMode, externalId: null, configuration, additionalInfo };
  const chain = newDoc({ id, collection: 'RULE_CHAIN', tenantId, name, kind: 'CORE', state: 'ROOT', body }, now);
  work.docs.push({ doc: chain, expects: 0 });
  work.docs.push({ doc: newDoc({ id, collection: 'RULE_CHAIN_METADATA', tenantId, name, body: { ...graph } }, now), expects: 0 });
}

export interface NewUser {
  readonly tenantId: string;
  readonly customerId?: string | null;
  readonly email: string;
  readonly authority: string;
  readonly firstName?: string | null;
  readonly lastName?: string | null;
  readonly phone?: string | null;
  readonly additionalInfo?: unknown;
  /** Hash; without one the account waits for its activation. */
  readonly password?: string | null;
}

/** A user and its credentials, which have the user's id as key. */
export function newUser(fields: NewUser, now: number): { user: Doc; credentials: Doc } {
  const { tenantId, email, authority, customerId = null, firstName = null, lastName = null, phone = null, additionalInfo = null } = fields;
  const body = { authority, firstName, lastName, phone, customMenuId: null, additionalInfo };
  const user = newDoc({ collection: 'USER', tenantId, name: email, kind: authority, customerId, uniqueKey: email, body }, now);
  const { password = null } = fields;
  const credentials = newDoc(
    {
      collection: 'USER_CREDENTIALS',
      tenantId,
      name: email,
      ref: user.id,
      uniqueKey: user.id,
      body: {
        enabled: password !== null,
        password,
        activateToken: null,
        activateTokenExpTime: null,
        resetToken: null,
        resetTokenExpTime: null,
        lastLoginTs: null,
        failedLoginAttempts: 0,
        validFrom: 0,
        endedSessions: {},
      },
    },
    now,
  );
  return { user, credentials };
}

/** No limit anywhere (0 = unlimited). */
const COUNTS =
  'maxDevices maxAssets maxCustomers maxUsers maxDashboards maxRuleChains maxEdges maxIntegrations maxConverters maxSchedulerEvents maxResourcesInBytes maxOtaPackagesInBytes maxResourceSize maxTransportMessages maxTransportDataPoints maxREExecutions maxJSExecutions maxTbelExecutions maxDPStorageDays maxRuleNodeExecutionsPerMessage maxDebugModeDurationMinutes maxEmails maxSms maxCreatedAlarms maxGeneratedReports maxWsSessionsPerTenant maxWsSessionsPerCustomer maxWsSessionsPerRegularUser maxWsSessionsPerPublicUser wsMsgQueueLimitPerSession maxWsSubscriptionsPerTenant maxWsSubscriptionsPerCustomer maxWsSubscriptionsPerRegularUser maxWsSubscriptionsPerPublicUser defaultStorageTtlDays alarmsTtlDays rpcTtlDays queueStatsTtlDays ruleEngineExceptionsTtlDays warnThreshold maxCalculatedFieldsPerEntity maxArgumentsPerCF minAllowedScheduledUpdateIntervalInSecForCF maxStateSizeInKBytes maxSingleValueArgumentSizeInKBytes minAllowedDeduplicationIntervalInSecForCF minAllowedAggregationIntervalInSecForCF'.split(
    ' ',
  );
const RATES =
  'transportTenantMsgRateLimit transportTenantTelemetryMsgRateLimit transportTenantTelemetryDataPointsRateLimit transportDeviceMsgRateLimit transportDeviceTelemetryMsgRateLimit transportDeviceTelemetryDataPointsRateLimit transportGatewayMsgRateLimit transportGatewayTelemetryMsgRateLimit transportGatewayTelemetryDataPointsRateLimit transportGatewayDeviceMsgRateLimit transportGatewayDeviceTelemetryMsgRateLimit transportGatewayDeviceTelemetryDataPointsRateLimit integrationMsgsPerTenantRateLimit integrationMsgsPerDeviceRateLimit integrationMsgsPerAssetRateLimit tenantEntityExportRateLimit tenantEntityImportRateLimit tenantNotificationRequestsRateLimit tenantNotificationRequestsPerRuleRateLimit tenantServerRestLimitsConfiguration customerServerRestLimitsConfiguration wsUpdatesPerSessionRateLimit cassandraReadQueryTenantCoreRateLimits cassandraWriteQueryTenantCoreRateLimits cassandraReadQueryTenantRuleEngineRateLimits cassandraWriteQueryTenantRuleEngineRateLimits edgeEventRateLimits edgeEventRateLimitsPerEdge edgeUplinkMessagesRateLimits edgeUplinkMessagesRateLimitsPerEdge smsEnabled'.split(
    ' ',
  );

export const NO_LIMITS: Readonly<Record<string, unknown>> = Object.freeze({
  type: 'DEFAULT',
  ...Object.fromEntries(COUNTS.map((key) => [key, 0])),
  ...Object.fromEntries(RATES.map((key) => [key, null])),
  maxRelationLevelPerCfArgument: 0,
  maxRelatedEntitiesToReturnPerCfArgument: 0,
  maxDataPointsPerRollingArg: 0,
  intermediateAggregationIntervalInSecForCF: 300,
  cfReevaluationCheckInterval: 60,
  alarmsReevaluationInterval: 60,
});

export const DEFAULT_LIMITS: Readonly<Record<string, unknown>> = Object.freeze({
  ...NO_LIMITS,
  maxDebugModeDurationMinutes: 15,
  maxCalculatedFieldsPerEntity: 5,
  maxArgumentsPerCF: 10,
  minAllowedScheduledUpdateIntervalInSecForCF: 10,
  maxRelationLevelPerCfArgument: 2,
  maxRelatedEntitiesToReturnPerCfArgument: 100,
  maxDataPointsPerRollingArg: 1000,
  maxStateSizeInKBytes: 32,
  maxSingleValueArgumentSizeInKBytes: 2,
  minAllowedDeduplicationIntervalInSecForCF: 10,
  minAllowedAggregationIntervalInSecForCF: 60,
});

export interface NewTenantProfile {
  readonly name: string;
  readonly description?: string | null;
  readonly default?: boolean;
  readonly isolatedTbRuleEngine?: boolean;
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly queueConfiguration?: unknown;
}

export function newTenantProfile(fields: NewTenantProfile, now: number): Doc {
  const { name, description = null, isolatedTbRuleEngine = false, configuration, queueConfiguration = null } = fields;
  const body = { description, default: fields.default ?? false, isolatedTbRuleEngine, profileData: { configuration, queueConfiguration } };
  const state = fields.default ? 'DEFAULT' : null;
  return newDoc({ collection: 'TENANT_PROFILE', tenantId: NULL_ID, name, state, uniqueKey: `${NULL_ID}/${name}`, body }, now);
}

const SHARED = { pollInterval: 25, partitions: 10, consumerPerPartition: true, packProcessingTimeout: 2000, additionalInfo: null };
/** Forms and profiles list these; our lanes give what each of them promises. */
const QUEUES: Readonly<Record<string, Record<string, unknown>>> = {
  Main: {
    topic: 'tb_rule_engine.main',
    submitStrategy: { type: 'BURST', batchSize: 1000 },
    processingStrategy: { type: 'SKIP_ALL_FAILURES', retries: 3, failurePercentage: 0, pauseBetweenRetries: 3, maxPauseBetweenRetries: 3 },
  },
  HighPriority: {
    topic: 'tb_rule_engine.hp',
    submitStrategy: { type: 'BURST', batchSize: 100 },
    processingStrategy: { type: 'RETRY_FAILED_AND_TIMED_OUT', retries: 0, failurePercentage: 0, pauseBetweenRetries: 5, maxPauseBetweenRetries: 5 },
  },
  SequentialByOriginator: {
    topic: 'tb_rule_engine.sq',
    submitStrategy: { type: 'SEQUENTIAL_BY_ORIGINATOR', batchSize: 100 },
    processingStrategy: { type: 'RETRY_FAILED_AND_TIMED_OUT', retries: 3, failurePercentage: 0, pauseBetweenRetries: 5, maxPauseBetweenRetries: 5 },
  },
};

const queues = (now: number): Doc[] =>
  Object.entries(QUEUES).map(([name, queue]) =>
    newDoc({ collection: 'QUEUE', tenantId: NULL_ID, name, uniqueKey: `${NULL_ID}/${name}`, body: { ...SHARED, ...queue } }, now),
  );
