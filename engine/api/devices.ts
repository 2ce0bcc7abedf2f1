import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, nameKey, newDevice, newDeviceCredentials, newDeviceState, randomText } from '../entities.ts';

import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import {
  accessToken,
  CredentialsBody,
  commitCredentials,
  credentialsFields,
  credentialsJson,
  credentialsOf,
  refuseTaken,
} from './device-credentials.ts';
import { badRequest, forbidden } from './errors.ts';
import { joinGroups } from './group-members.ts';
import { customerOfBody } from './lists.ts';
import { ownedEntities } from './owned-entities.ts';
import { DEVICE_PROFILES } from './profiles.ts';
import { again, checkLimit, checkName, checkTexts, freeName, type NamePolicy, removeDoc, save } from './save.ts';
import { customerExists, profileOf } from './saved-profile.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed } from './schemas.ts';

/** Devices and their credentials (specs: rest-api §2.5). */

const DeviceBody = Body({
  id: Maybe(IdOf('DEVICE')),
  name: Type.Optional(Type.String()),
  type: Maybe(Type.String()),
  label: Maybe(Type.String()),
  customerId: Maybe(IdOf('CUSTOMER')),
  deviceProfileId: Maybe(IdOf('DEVICE_PROFILE')),
  deviceData: Type.Optional(AnyJson),
  additionalInfo: Type.Optional(AnyJson),
  firmwareId: Maybe(IdOf('OTA_PACKAGE')),
  softwareId: Maybe(IdOf('OTA_PACKAGE')),
  version: Maybe(Type.Integer()),
});
export type DeviceBody = Type.Static<typeof DeviceBody>;

export const SAVE_QUERY = {
  entityGroupId: Type.Optional(Type.String()),
  entityGroupIds: Type.Optional(IdList),
  nameConflictPolicy: Type.Optional(Type.Enum(['FAIL', 'UNIQUIFY'])),
  uniquifySeparator: Type.Optional(Type.String()),
  uniquifyStrategy: Type.Optional(Type.Enum(['RANDOM', 'INCREMENTAL'])),
};

export default async function devices(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['Device'];

  ownedEntities(app, context, {
    collection: 'DEVICE',
    path: 'device',
    types: 'deviceTypes',
    profile: 'DEVICE_PROFILE',
    async info(doc) {
      const [active] = await store.attributes(doc.tenantId, { entityType: 'DEVICE', id: doc.id }, 'SERVER_SCOPE', ['active']);
      return { deviceProfileName: doc.kind, active: active?.value.type === 'BOOLEAN' && active.value.value };
    },
    async beforeRemoval(doc) {
      const work = new Work();
      const credentials = await credentialsOf(context, doc);
      if (credentials) removeDoc(work, credentials);
      return work;
    },
  });

  app.post(
    '/api/device',
    {
      schema: {
        tags,
        summary: 'Create or update a device',
        body: DeviceBody,
        querystring: Type.Object({ ...SAVE_QUERY, accessToken: Type.Optional(Type.String()) }),
      },
    },
    async ({ body, query, caller }) => {
      const credentials = {
        credentialsType: 'ACCESS_TOKEN' as const,
        credentialsId: accessToken(query.accessToken ?? randomText(20)),
        credentialsValue: null,
      };
      return entityJson(await again(() => saveDevice(context, caller, body, query, body.id ? null : credentials)));
    },
  );
  app.post(
    '/api/device-with-credentials',
    { schema: { tags, querystring: Type.Object(SAVE_QUERY), body: Type.Object({ device: DeviceBody, credentials: CredentialsBody }) } },
    async ({ body, query, caller }) => {
      const fields = credentialsFields(body.credentials);
      const stored = body.device.id
        ? await credentialsOf(context, await writable(context, caller, { entityType: 'DEVICE', id: body.device.id.id }))
        : null;
      await refuseTaken(context, fields.credentialsId, stored?.id);
      return entityJson(await again(() => saveDevice(context, caller, body.device, query, fields, stored)));
    },
  );
  app.get('/api/device/:id/credentials', { schema: { tags, params: IdParams } }, async ({ params, caller }) => {
    const device = await readable(context, caller, { entityType: 'DEVICE', id: params.id });
    const credentials = await credentialsOf(context, device);
    if (!credentials) throw badRequest('The device has no credentials');
    return credentialsJson(credentials);
  });
  app.post('/api/device/credentials', { schema: { tags, body: CredentialsBody } }, async ({ body, caller }) => {
    if (!body.deviceId) throw badRequest('Invalid entity id');
    const device = await writable(context, caller, { entityType: 'DEVICE', id: body.deviceId.id });
    const fields = credentialsFields(body);
    const stored = await credentialsOf(context, device);
    if (stored && !body.id) throw badRequest('Credentials for this device are already specified!');
    if (stored && stored.id !== body.id?.id) throw badRequest('Unable to update non-existent device credentials!');
    await refuseTaken(context, fields.credentialsId, stored?.id);
    const doc = changed(stored, newDeviceCredentials(device, fields, context.now()));
    const work = new Work();
    work.docs.push({ doc, expects: body.version ?? (stored ? undefined : 0) });
    await commitCredentials(context, work);
    return credentialsJson(doc);
  });
}

/** The stored credentials with what the new ones say. */
const changed = (stored: Doc | null, made: Doc): Doc =>
  stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version + 1 } : made;

/**
 * Saves a device with its profile, groups and, when it is new, its credentials in one commit.
 * @param credentials null: leave them as they are.
 */
export async function saveDevice(
  context: ApiContext,
  caller: Caller,
  body: DeviceBody,
  query: NamePolicy,
  credentials: Parameters<typeof newDeviceCredentials>[1] | null,
  storedCredentials: Doc | null = null,
): Promise<Doc> {
  const now = context.now();
  const { tenantId } = caller;
  const stored = body.id ? await writable(context, caller, { entityType: 'DEVICE', id: body.id.id }) : undefined;
  if (!stored && caller.authority === 'CUSTOMER_USER') throw forbidden();
  const wanted = checkName('Device', body.name);
  checkTexts(body, ['type', 'label']);
  const customerId = customerOfBody(body);
  await customerExists(context, caller, customerId, 'device');
  const work = new Work();
  const profile = await profileOf(context, caller, DEVICE_PROFILES, body.deviceProfileId, body.type, work);
  if (!stored) await checkLimit(context, tenantId, 'maxDevices', 'DEVICE');
  const name = await freeName(context, 'DEVICE', tenantId, wanted, query, stored?.id);
  const fields = {
    tenantId,
    name,
    type: profile.name,
    profileId: profile.id,
    label: body.label ?? null,
    customerId,
    additionalInfo: body.additionalInfo,
  };
  const made = newDevice({ ...fields, deviceData: deviceData(body.deviceData), accessToken: 'unused' }, now).device;
  const doc: Doc = {
    ...(stored ? { ...made, id: stored.id, createdTime: stored.createdTime, version: stored.version } : made),
    uniqueKey: nameKey(tenantId, name),
    body: { ...made.body, firmwareId: body.firmwareId ?? null, softwareId: body.softwareId ?? null },
  };
  if (credentials) {
    await refuseTaken(context, credentials.credentialsId, storedCredentials?.id);
    work.docs.push({ doc: changed(storedCredentials, newDeviceCredentials(doc, credentials, now)) });
  }
  if (!stored) work.attributes.push(newDeviceState(doc));
  await joinGroups(context, caller, query, doc, work);
  return save({ context, caller, doc, stored, expects: body.version, work });
}

/** Both configurations always carry their type: clients choose the class by it. */
function deviceData(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { configuration, transportConfiguration, ...rest } = value as Record<string, Record<string, unknown> | null | undefined>;
  return {
    configuration: { type: 'DEFAULT', ...configuration },
    transportConfiguration: { type: 'DEFAULT', ...transportConfiguration },
    ...rest,
  };
}
