import { createHash } from 'node:crypto';
import { Type } from 'typebox';
import type { CredentialsFields } from '../entities.ts';
import { Duplicate, VersionConflict } from '../errors.ts';
import type { Doc } from '../store.ts';
import type { Work } from '../work.ts';
import type { ApiContext } from './context.ts';
import { badRequest, ErrorCode, HttpError } from './errors.ts';
import { Body, IdOf, Maybe } from './schemas.ts';

/** What a device shows to be let in (specs: rest-api §2.5). */

export const CredentialsBody = Body({
  id: Maybe(Body({ id: Type.String({ format: 'uuid' }) })),
  deviceId: Maybe(IdOf('DEVICE')),
  credentialsType: Type.Enum(['ACCESS_TOKEN', 'MQTT_BASIC', 'X509_CERTIFICATE', 'LWM2M_CREDENTIALS']),
  credentialsId: Maybe(Type.String()),
  credentialsValue: Maybe(Type.String()),
  version: Maybe(Type.Integer()),
});
export type CredentialsBody = Type.Static<typeof CredentialsBody>;

export const credentialsJson = (doc: Doc) => ({
  id: { id: doc.id },
  createdTime: doc.createdTime,
  deviceId: { entityType: 'DEVICE', id: doc.ref },
  ...doc.body,
  version: doc.version,
});

/** The fields to store, checked; `credentialsId` is what a device is found by. @throws HttpError 400 */
export function credentialsFields(body: CredentialsBody): Required<CredentialsFields> {
  const { credentialsType } = body;
  switch (credentialsType) {
    case 'ACCESS_TOKEN':
      return { credentialsType, credentialsId: accessToken(body.credentialsId), credentialsValue: null };
    case 'MQTT_BASIC':
      return { credentialsType, ...mqttBasic(body.credentialsValue) };
    case 'X509_CERTIFICATE':
      return { credentialsType, ...certificate(body.credentialsValue) };
    default:
      throw badRequest('LwM2M client credentials must be specified!');
  }
}

/** Words that stand in the device API's paths where a token stands. */
const RESERVED = ['integrations', 'provision'];

export function accessToken(token: string | null | undefined): string {
  if (!token) throw badRequest('Device credentials id should be specified!');
  if (token.length > 255) throw badRequest('Validation error: credentialsId length must be equal or less than 255');
  if (RESERVED.includes(token)) throw badRequest(`An access token can not be '${token}'`);
  return token;
}

const sha3 = (text: string): string => createHash('sha3-256').update(text).digest('hex');

interface MqttBasic {
  readonly clientId: string | null;
  readonly userName: string | null;
  readonly password: string | null;
}

/** What a session with these is found by: the parts that are given decide (also used at connect). */
export function mqttBasicId({ clientId, userName }: Pick<MqttBasic, 'clientId' | 'userName'>): string {
  if (!userName) return sha3(clientId ?? '');
  return clientId ? sha3(`|${clientId}|${userName}`) : sha3(userName);
}

function mqttBasic(text: string | null | undefined): { credentialsId: string; credentialsValue: string } {
  let value: Partial<Record<keyof MqttBasic, unknown>> | null = null;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    // Refused below.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw badRequest('Invalid credentials body for simple mqtt credentials!');
  const part = (key: keyof MqttBasic) => (value[key] === undefined || value[key] === null ? null : String(value[key]));
  const basic: MqttBasic = { clientId: part('clientId'), userName: part('userName'), password: part('password') };
  if (!basic.clientId && !basic.userName) throw badRequest('Both mqtt client id and user name are empty!');
  if (basic.clientId && basic.password && !basic.userName) throw badRequest('Password cannot be specified along with client id');
  return { credentialsId: mqttBasicId(basic), credentialsValue: JSON.stringify(basic) };
}

function certificate(text: string | null | undefined): { credentialsId: string; credentialsValue: string } {
  const bare = (text ?? '').replace(/-----(BEGIN|END) CERTIFICATE-----/g, '').replace(/\s/g, '');
  if (bare === '') throw badRequest('Invalid X509 certificate: it is empty');
  return { credentialsId: sha3(bare), credentialsValue: bare };
}

export const credentialsOf = async (context: ApiContext, device: Doc): Promise<Doc | null> =>
  (await context.backend.store.docs('DEVICE_CREDENTIALS', device.tenantId, { ref: device.id, pageSize: 1 })).data[0] ?? null;

/** @throws HttpError 400 when another device has them, in any tenant. */
export async function refuseTaken(context: ApiContext, credentialsId: string, own?: string): Promise<void> {
  const holder = await context.backend.store.docByKey('DEVICE_CREDENTIALS', credentialsId);
  if (holder && holder.id !== own) throw taken();
}

const taken = () => badRequest('Device credentials are already assigned to another device!');

/** Commits a change of credentials alone. */
export async function commitCredentials(context: ApiContext, work: Work): Promise<void> {
  try {
    await context.backend.commit(work);
  } catch (error) {
    if (error instanceof Duplicate) throw taken();
    if (error instanceof VersionConflict) throw new HttpError(409, ErrorCode.VERSION_CONFLICT, 'Entity was already changed by someone else');
    throw error;
  }
}
