import { randomUUID } from 'node:crypto';
import type { TSchema } from 'typebox';
import { entityJson, newDoc, randomText } from '../entities.ts';
import { newId } from '../id.ts';
import type { AnyIntegration } from '../integration.ts';
import type { EntityRef } from '../message.ts';
import { validate, withDefaults } from '../schema.ts';
import type { Doc } from '../store.ts';
import type { ApiContext, Caller } from './context.ts';
import { debugSettings } from './debug-settings.ts';
import { badRequest } from './errors.ts';
import { idOf } from './required.ts';
import { checkName } from './save.ts';

type Json = Record<string, unknown>;

/** Every type that ThingsBoard's clients know (specs: integrations §1.1). */
const KNOWN_TYPES = new Set(
  (
    'HTTP MQTT TTN TTI SIGFOX THINGPARK TPE LORIOT CHIRPSTACK OCEANCONNECT TMOBILE_IOT_CDP KPN PARTICLE COAP TCP UDP OPC_UA KAFKA RABBITMQ APACHE_PULSAR ' +
    'PUB_SUB AWS_IOT AWS_KINESIS AWS_SQS AZURE_IOT_HUB AZURE_EVENT_HUB AZURE_SERVICE_BUS TUYA CUSTOM IBM_WATSON_IOT'
  ).split(' '),
);

/** @throws HttpError 400 that names what there is. */
export function definitionOf({ integrations }: ApiContext, type: unknown): AnyIntegration {
  const definition = integrations.get(String(type));
  if (definition) return definition;
  const existing = integrations.all.map((one) => one.type).join(', ');
  if (typeof type === 'string' && KNOWN_TYPES.has(type)) throw badRequest(`Integration type ${type} is not available yet. Available: ${existing}`);
  throw badRequest(`Integration type should be one of ${existing}`);
}

/**
 * The integration as it is stored, made of a request: complete, valid, its secrets sealed. Secrets that the request leaves out stay as they are stored.
 * @throws HttpError 400, ConfigError
 */
export async function readIntegration(context: ApiContext, caller: Caller, fields: Json, stored: Doc | null): Promise<Doc> {
  if (typeof fields['name'] !== 'string' || fields['name'].trim() === '') throw badRequest('Integration name should be specified!');
  const name = checkName('Integration', fields['name']);
  const type = fields['type'] ?? stored?.kind;
  const definition = definitionOf(context, type);
  if (stored && stored.kind !== type) throw badRequest('Integration type can not be changed!');
  const now = context.now();
  const id = stored?.id ?? newId(now);
  const { tenantId } = caller;
  const routingKey = readRoutingKey(fields['routingKey'], stored);
  const info = { id, tenantId, name, routingKey, isNew: !stored };
  const body = {
    enabled: flag(fields, 'enabled', stored, true),
    remote: flag(fields, 'remote', stored, false),
    allowCreateDevicesOrAssets: flag(fields, 'allowCreateDevicesOrAssets', stored, true),
    edgeTemplate: flag(fields, 'edgeTemplate', stored, false),
    debugMode: fields['debugMode'] === true,
    debugSettings: debugSettings(fields, now),
    defaultConverterId: await converterOf(context, tenantId, fields, 'defaultConverterId', 'UPLINK'),
    downlinkConverterId: await converterOf(context, tenantId, fields, 'downlinkConverterId', 'DOWNLINK'),
    routingKey,
    secret: context.secrets.seal(readSecret(context, fields['secret'], stored)),
    configuration: readConfiguration(context, definition, fields['configuration'], stored, info),
    additionalInfo: fields['additionalInfo'] ?? null,
    externalId: null,
  };
  if (body.defaultConverterId === null) throw badRequest('Integration default converter should be specified!');
  if (stored) return { ...stored, name, uniqueKey: routingKey, body };
  return newDoc({ id, collection: 'INTEGRATION', tenantId, name, kind: definition.type, uniqueKey: routingKey, body }, now);
}

function readConfiguration(
  { secrets, baseUrl }: ApiContext,
  definition: AnyIntegration,
  configuration: unknown,
  stored: Doc | null,
  info: { id: string; tenantId: string; name: string; routingKey: string; isNew: boolean },
): unknown {
  const given = configuration ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) throw badRequest('Validation error: configuration is not an object');
  checkMetadata((given as Json)['metadata']);
  const schema: TSchema & { properties?: Json } = definition.config;
  let complete = withDefaults(schema, given) as Json;
  if (schema.properties && 'baseUrl' in schema.properties && !complete['baseUrl']) complete['baseUrl'] = baseUrl;
  complete = definition.complete?.(complete, info) ?? complete;
  const sealed = secrets.sealConfig(schema, complete, stored?.body['configuration']);
  validate(schema, secrets.openConfig(schema, sealed));
  return sealed;
}

/** Given to every converter call as it is: a flat map of texts. */
function checkMetadata(metadata: unknown): void {
  if (metadata === undefined || metadata === null) return;
  const isFlat =
    typeof metadata === 'object' &&
    !Array.isArray(metadata) &&
    Object.values(metadata as Json).every((value) => typeof value !== 'object' || value === null);
  if (!isFlat) throw badRequest('Validation error: configuration.metadata is not a map of texts');
}

function readRoutingKey(given: unknown, stored: Doc | null): string {
  if (given === undefined || given === null || given === '') return stored?.uniqueKey ?? randomUUID();
  if (typeof given !== 'string' || !/^[\w.~-]{1,255}$/.test(given))
    throw badRequest('Validation error: routingKey may have letters, digits, and . _ ~ - only');
  return given;
}

function readSecret({ secrets }: ApiContext, given: unknown, stored: Doc | null): string {
  if (typeof given === 'string' && given !== '') return given;
  return (stored && secretOf({ secrets }, stored)) ?? randomText(20);
}

function flag(fields: Json, key: string, stored: Doc | null, standard: boolean): boolean {
  const value = fields[key] ?? stored?.body[key] ?? standard;
  if (typeof value !== 'boolean') throw badRequest(`Validation error: ${key} is not true or false`);
  return value;
}

async function converterOf(
  { backend }: ApiContext,
  tenantId: string,
  fields: Json,
  key: string,
  kind: 'UPLINK' | 'DOWNLINK',
): Promise<EntityRef | null> {
  const id = idOf(fields, key, 'CONVERTER');
  if (id === null) return null;
  const converter = await backend.store.doc('CONVERTER', tenantId, id);
  if (!converter) throw badRequest(`Integration is referencing to non-existent converter! (${key})`);
  if (converter.kind !== kind) throw badRequest(`Converter '${converter.name}' is of type ${converter.kind}, ${key} needs ${kind}`);
  return { entityType: 'CONVERTER', id };
}

/** Integrations that the server itself makes have none. */
function secretOf({ secrets }: Pick<ApiContext, 'secrets'>, { body }: Doc): string | null {
  return typeof body['secret'] === 'string' ? secrets.open(body['secret']) : null;
}

const configSchema = ({ integrations }: ApiContext, doc: Doc): TSchema | null => integrations.get(doc.kind ?? '')?.config ?? null;

/** As clients read it: secrets of the configuration left out. A type that is no longer there shows no configuration at all: nobody knows its secrets. */
export function integrationJson(context: ApiContext, doc: Doc): Json {
  const schema = configSchema(context, doc);
  const configuration = schema ? context.secrets.redactConfig(schema, doc.body['configuration']) : null;
  return { ...entityJson(doc), configuration, secret: secretOf(context, doc) };
}

/** As the one who connects reads it: secrets opened. */
export function openedJson(context: ApiContext, doc: Doc): Json {
  const schema = configSchema(context, doc);
  return { ...entityJson(doc), configuration: schema ? context.secrets.openConfig(schema, doc.body['configuration']) : null };
}

/** Keys of a configuration that its type does not know: kept for the way back, and told. */
export function unknownKeys(context: ApiContext, doc: Doc): string[] {
  const schema = configSchema(context, doc);
  return schema ? walkUnknown(schema as Shape, doc.body['configuration'], '').map((path) => `configuration.${path} is not used by this type`) : [];
}

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly anyOf?: readonly Shape[];
}

function walkUnknown(schema: Shape, value: unknown, path: string): string[] {
  if (Array.isArray(value)) return schema.items ? value.flatMap((item, index) => walkUnknown(schema.items!, item, `${path}[${index}]`)) : [];
  if (typeof value !== 'object' || value === null || !schema.properties) return [];
  return Object.entries(value).flatMap(([key, part]) => {
    const at = path === '' ? key : `${path}.${key}`;
    if (at === 'metadata') return [];
    const known = schema.properties![key];
    return known ? walkUnknown(known, part, at) : [at];
  });
}
