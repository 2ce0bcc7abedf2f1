import { cpus, freemem, loadavg, totalmem } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { SETTINGS_SECRETS, settingsKey } from '#engine/services/settings.ts';
import { entityJson, newDoc } from '../entities.ts';
import { NULL_ID } from '../message.ts';
import type { Collection, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { ACCESS_SECONDS, ISSUER, REFRESH_SECONDS } from './auth.ts';
import type { ApiContext } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { SECURITY_SETTINGS } from './password-policy.ts';
import { tenantConfiguration } from './save.ts';
import { AnyJson, Body, Maybe, typed } from './schemas.ts';

/** What clients ask the system about itself (specs: rest-api §2.2). */

/** The version of the API that clients find here. */
const API_VERSION = '4.4.0';

const USAGE: readonly (readonly [key: string, limit: string, collection: Collection])[] = [
  ['devices', 'maxDevices', 'DEVICE'],
  ['assets', 'maxAssets', 'ASSET'],
  ['customers', 'maxCustomers', 'CUSTOMER'],
  ['users', 'maxUsers', 'USER'],
  ['dashboards', 'maxDashboards', 'DASHBOARD'],
  ['edges', 'maxEdges', 'EDGE'],
];

export default async function system(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['System'];
  const STC = { who: 'STC' as const };
  const S = { who: 'S' as const };

  app.get('/api/system/info', { config: STC, schema: { tags } }, async () => ({
    version: API_VERSION,
    artifact: 'fieldbridge',
    name: 'Fieldbridge',
    type: 'PE',
    edition: 'PE',
  }));
  app.get('/api/system/params', { config: STC, schema: { tags } }, async ({ caller }) => {
    const tenant = caller.authority !== 'SYS_ADMIN';
    const configuration = tenant ? await tenantConfiguration(context, caller.tenantId) : {};
    const settings = await store.docByKey('USER_SETTINGS', `${caller.userId}/GENERAL`);
    const limit = (key: string) => Number(configuration[key] ?? 0);
    return {
      userTokenAccessEnabled: caller.authority !== 'CUSTOMER_USER',
      allowedDashboardIds: [],
      edgesSupportEnabled: false,
      hasRepository: false,
      tbelEnabled: caller.authority === 'TENANT_ADMIN',
      persistDeviceStateToTelemetry: false,
      userSettings: { openedMenuSections: [], ...settings?.body },
      maxDatapointsLimit: 50_000,
      maxResourceSize: limit('maxResourceSize'),
      mobileQrEnabled: false,
      maxDebugModeDurationMinutes: limit('maxDebugModeDurationMinutes'),
      ruleChainDebugPerTenantLimitsConfiguration: tenant ? '50000:3600' : null,
      calculatedFieldDebugPerTenantLimitsConfiguration: tenant ? '50000:3600' : null,
      maxArgumentsPerCF: limit('maxArgumentsPerCF'),
      maxDataPointsPerRollingArg: limit('maxDataPointsPerRollingArg'),
      minAllowedScheduledUpdateIntervalInSecForCF: limit('minAllowedScheduledUpdateIntervalInSecForCF'),
      maxRelationLevelPerCfArgument: limit('maxRelationLevelPerCfArgument'),
      maxRelatedEntitiesToReturnPerCfArgument: limit('maxRelatedEntitiesToReturnPerCfArgument'),
      minAllowedDeduplicationIntervalInSecForCF: limit('minAllowedDeduplicationIntervalInSecForCF'),
      minAllowedAggregationIntervalInSecForCF: limit('minAllowedAggregationIntervalInSecForCF'),
      intermediateAggregationIntervalInSecForCF: limit('intermediateAggregationIntervalInSecForCF'),
      trendzSettings: tenant ? { enabled: false, baseUrl: null, apiKey: null } : null,
      nullsOrderStrategy: 'default',
      edqsEnabled: false,
      iotHubBaseUrl: '',
    };
  });
  app.get('/api/usage', { config: { who: 'T' }, schema: { tags } }, async ({ caller }) => {
    const limits = await tenantConfiguration(context, caller.tenantId);
    const counts = await Promise.all(
      USAGE.map(async ([key, limit, collection]) => [
        [key, (await store.docs(collection, caller.tenantId, { pageSize: 1 })).totalElements],
        [limit, Number(limits[limit] ?? 0)],
      ]),
    );
    const none = { transportMessages: 0, jsExecutions: 0, tbelExecutions: 0, emails: 0, sms: 0, smsEnabled: null, alarms: 0, reports: 0 };
    const unlimited = { maxTransportMessages: 0, maxJsExecutions: 0, maxTbelExecutions: 0, maxEmails: 0, maxSms: 0, maxAlarms: 0, maxReports: 0 };
    return { ...Object.fromEntries(counts.flat()), ...none, ...unlimited };
  });
  app.get('/api/uiSettings/helpBaseUrl', { config: STC, schema: { tags } }, async (_request, reply) =>
    reply.type('text/plain').send('https://thingsboard.io'),
  );
  app.get('/api/edqs/state', { config: S, schema: { tags } }, async () => ({ edqsReady: false, syncStatus: null, apiMode: null }));
  app.get('/api/permissions/allowedPermissions', { config: STC, schema: { tags } }, async ({ caller }) => {
    const everything = caller.authority === 'CUSTOMER_USER' ? { ALL: ['READ', 'RPC_CALL', 'READ_ATTRIBUTES', 'READ_TELEMETRY'] } : { ALL: ['ALL'] };
    const owner =
      caller.authority === 'CUSTOMER_USER' ? { entityType: 'CUSTOMER', id: caller.customerId } : { entityType: 'TENANT', id: caller.tenantId };
    return {
      operationsByResource: everything,
      allowedForGroupRoleOperations: [],
      allowedForGroupOwnerOnlyOperations: [],
      allowedForGroupOwnerOnlyGroupOperations: [],
      allowedResources: ['ALL'],
      userPermissions: {
        genericPermissions: everything,
        groupPermissions: {},
        readGroupPermissions: {},
        readEntityPermissions: {},
        readAttrPermissions: {},
        readTsPermissions: {},
      },
      userOwnerId: owner,
    };
  });

  app.get('/api/admin/systemInfo', { config: S, schema: { tags } }, async () => ({
    monolith: true,
    systemData: [
      {
        serviceId: context.serviceId,
        serviceType: 'MONOLITH',
        cpuUsage: Math.min(100, Math.round((100 * loadavg()[0]!) / cpus().length)),
        cpuCount: cpus().length,
        memoryUsage: Math.round(100 * (1 - freemem() / totalmem())),
        totalMemory: totalmem(),
        discUsage: 0,
        totalDiscSpace: 0,
      },
    ],
  }));
  app.get('/api/admin/featuresInfo', { config: S, schema: { tags } }, async () => ({
    whiteLabelingEnabled: false,
    emailEnabled: false,
    smsEnabled: false,
    notificationEnabled: false,
    oauthEnabled: false,
    twoFaEnabled: false,
  }));
  app.get('/api/admin/updates', { config: S, schema: { tags } }, async () => ({
    updateAvailable: false,
    currentVersion: API_VERSION,
    latestVersion: '',
    upgradeInstructionsUrl: '',
    currentVersionReleaseNotesUrl: '',
    latestVersionReleaseNotesUrl: '',
  }));

  const settingsOf = async (key: string): Promise<Doc | null> => store.docByKey('ADMIN_SETTINGS', settingsKey(key));
  const keep = async (key: string, given: unknown): Promise<Doc> => {
    const known = await settingsOf(key);
    const schema = SETTINGS_SECRETS[key];
    const jsonValue = schema ? context.secrets.sealConfig(schema, given, known?.body['jsonValue']) : given;
    const made = newDoc(
      { collection: 'ADMIN_SETTINGS', tenantId: NULL_ID, name: key, uniqueKey: settingsKey(key), body: { key, jsonValue } },
      context.now(),
    );
    const doc = known ? { ...known, version: known.version + 1, body: made.body } : made;
    const work = new Work();
    work.docs.push({ doc });
    await context.backend.commit(work);
    return doc;
  };

  app.get('/api/admin/securitySettings', { config: S, schema: { tags } }, async () => ({
    ...SECURITY_SETTINGS,
    ...((await settingsOf('securitySettings'))?.body['jsonValue'] as object | undefined),
  }));
  const Security = Body({ maxFailedLoginAttempts: Maybe(Type.Integer({ minimum: 0 })), userLockoutNotificationEmail: Maybe(Type.String()) });
  app.post('/api/admin/securitySettings', { config: S, schema: { tags, body: Security } }, async ({ body }) => {
    const { maxFailedLoginAttempts = null, userLockoutNotificationEmail = null } = body;
    const saved = await keep('securitySettings', { maxFailedLoginAttempts, userLockoutNotificationEmail });
    return { ...SECURITY_SETTINGS, ...(saved.body['jsonValue'] as object) };
  });

  app.get('/api/admin/jwtSettings', { config: S, schema: { tags } }, async () => ({
    tokenExpirationTime: ACCESS_SECONDS,
    refreshTokenExpTime: REFRESH_SECONDS,
    tokenIssuer: ISSUER,
    // The key that signs everybody's tokens leaves this process for nobody.
    tokenSigningKey: '',
  }));
  app.post('/api/admin/jwtSettings', { config: S, schema: { tags, body: AnyJson } }, async ({ body }) => {
    const { tokenSigningKey } = (body ?? {}) as { tokenSigningKey?: unknown };
    if (tokenSigningKey && Buffer.from(String(tokenSigningKey), 'base64').length < 64) {
      throw badRequest('JWT token signing key should be a Base64 encoded string representing at least 512 bits of data!');
    }
    throw badRequest('The signing key and the life of tokens can not be changed by REST');
  });

  app.get('/api/admin/settings/:key', { config: S, schema: { tags, params: Type.Object({ key: Type.String() }) } }, async ({ params }) => {
    const value = DEFAULT_SETTINGS(context)[params.key];
    const doc = (await settingsOf(params.key)) ?? (value ? await keep(params.key, value) : null);
    if (!doc) throw notFound(`No Administration settings found for key: ${params.key}`);
    return settingsJson(context, doc);
  });
  app.post('/api/admin/settings', { config: S, schema: { tags, body: Body({ key: Type.String(), jsonValue: AnyJson }) } }, async ({ body }) =>
    settingsJson(context, await keep(body.key, body.jsonValue)),
  );
}

function settingsJson({ secrets }: ApiContext, doc: Doc): Record<string, unknown> {
  const { name, version: _v, jsonValue, ...rest } = entityJson(doc);
  const schema = SETTINGS_SECRETS[String(name)];
  return { ...rest, jsonValue: schema ? secrets.redactConfig(schema, jsonValue) : jsonValue };
}

const DEFAULT_SETTINGS = (context: ApiContext): Readonly<Record<string, unknown>> => ({
  general: { baseUrl: context.baseUrl, prohibitDifferentUrl: false },
  mail: {
    mailFrom: '',
    smtpProtocol: 'smtp',
    smtpHost: 'localhost',
    smtpPort: '25',
    timeout: '10000',
    enableTls: false,
    username: '',
    tlsVersion: 'TLSv1.2',
    enableProxy: false,
    showChangePassword: false,
  },
  connectivity: Object.fromEntries(
    [
      ['http', '8080'],
      ['https', '443'],
      ['mqtt', '1883'],
      ['mqtts', '8883'],
      ['coap', '5683'],
      ['coaps', '5684'],
    ].map(([name, port]) => [name, { enabled: name === 'http', host: '', port }]),
  ),
});
