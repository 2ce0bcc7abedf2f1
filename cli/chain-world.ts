import { newAsset, newAssetProfile, newCustomer, newDevice, newDeviceProfile, newDoc } from '#engine/entities.ts';
import { ConfigError } from '#engine/errors.ts';
import { isUuid } from '#engine/id.ts';
import { type Json, type KeyValue, toValue } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '#engine/message.ts';
import { alarmDoc } from '#engine/services/alarms.ts';
import type { Alarm, Severity } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { Work } from '#engine/work.ts';

/** Everything there is in a case, as the file says. */

type Raw = Record<string, unknown>;
export const TENANT_ID = '00000000-0000-1000-8000-000000000001';
const KEYS = ['devices', 'assets', 'customers', 'attributes', 'telemetry', 'relations', 'alarms'];
const isObject = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);
const wrong = (text: string): never => {
  throw new ConfigError(`world: ${text}`);
};

export class World {
  readonly work = new Work();
  private readonly now: number;
  private readonly byName = new Map<string, EntityRef[]>();
  private readonly profiles = new Map<string, Doc>();
  private ids = 1;

  /** @throws ConfigError saying what of it is not understood. */
  constructor(world: unknown, now: number) {
    this.now = now;
    if (!isObject(world)) wrong('is not an object');
    const given = world as Raw;
    const unknown = Object.keys(given).find((key) => !KEYS.includes(key));
    if (unknown !== undefined) wrong(`"${unknown}" is not known: ${KEYS.join(', ')}`);
    this.put(newDoc({ id: TENANT_ID, collection: 'TENANT', tenantId: TENANT_ID, name: 'Tenant', body: {} }, now));
    this.profile('DEVICE', 'default');
    this.profile('ASSET', 'default');
    for (const each of listOf(given, 'customers')) this.customer(each);
    for (const each of listOf(given, 'devices')) this.device(each);
    for (const each of listOf(given, 'assets')) this.asset(each);
    for (const each of listOf(given, 'attributes')) this.attributes(each);
    for (const each of listOf(given, 'telemetry')) this.telemetry(each);
    for (const each of listOf(given, 'relations')) this.relation(each);
    for (const each of listOf(given, 'alarms')) this.alarm(each);
  }

  newId(): string {
    return `00000000-0000-1000-8000-${String(++this.ids).padStart(12, '0')}`;
  }

  /** A device of this name, made when it is not there. */
  deviceNamed(name: string): EntityRef {
    return this.byName.get(name)?.find(({ entityType }) => entityType === 'DEVICE') ?? this.device({ name });
  }

  /** A name, `{entityType, name}` or `{entityType, id}`; `{entityType: "TENANT"}`. */
  refOf(of: unknown): EntityRef {
    if (typeof of === 'string') return this.only(this.byName.get(of) ?? [], of);
    if (!isObject(of)) return wrong(`${JSON.stringify(of)} names no entity`);
    const { entityType, name, id } = of;
    if (entityType === 'TENANT') return { entityType, id: TENANT_ID };
    if (typeof id === 'string' && isUuid(id)) return { entityType: entityType as EntityRef['entityType'], id: id.toLowerCase() };
    const named = (this.byName.get(String(name)) ?? []).filter((ref) => ref.entityType === entityType);
    return this.only(named, `${String(entityType)} ${String(name)}`);
  }

  private only(found: readonly EntityRef[], name: string): EntityRef {
    if (found.length === 0) wrong(`there is no "${name}"`);
    return found.length === 1 ? found[0]! : wrong(`"${name}" is more than one: say {"entityType", "name"}`);
  }

  put(doc: Doc): Doc {
    this.work.docs.push({ doc });
    return doc;
  }

  private named(doc: Doc): EntityRef {
    this.put(doc);
    const ref = { entityType: doc.collection as EntityRef['entityType'], id: doc.id };
    const known = this.byName.get(doc.name) ?? [];
    if (known.some(({ entityType }) => entityType === ref.entityType)) wrong(`two of one name: ${doc.collection} "${doc.name}"`);
    this.byName.set(doc.name, [...known, ref]);
    return ref;
  }

  private profile(type: 'DEVICE' | 'ASSET', name: string): Doc {
    const key = `${type} ${name}`;
    let profile = this.profiles.get(key);
    if (!profile) {
      const made = (type === 'DEVICE' ? newDeviceProfile : newAssetProfile)(TENANT_ID, name, this.now);
      profile = this.put({ ...made, id: this.newId(), state: name === 'default' ? 'DEFAULT' : null });
      this.profiles.set(key, profile);
    }
    return profile;
  }

  private fields(each: Raw, type: 'DEVICE' | 'ASSET') {
    const { name, type: profileName = 'default', label, customer, additionalInfo, id = this.newId() } = each;
    if (typeof name !== 'string' || name === '') wrong(`a ${type.toLowerCase()} has no name`);
    if (typeof id !== 'string' || !isUuid(id)) wrong(`the id of "${String(name)}" is no UUID`);
    const profile = this.profile(type, String(profileName));
    const customerId = customer === undefined ? null : this.refOf({ entityType: 'CUSTOMER', name: customer }).id;
    const fields = { tenantId: TENANT_ID, name: String(name), type: profile.name, profileId: profile.id, customerId, additionalInfo };
    return { id: String(id), fields: { ...fields, label: label === undefined ? null : String(label) } };
  }

  private device(each: Raw): EntityRef {
    const { id, fields } = this.fields(each, 'DEVICE');
    const { device, credentials } = newDevice(fields, this.now);
    this.put({ ...credentials, ref: id });
    return this.named({ ...device, id });
  }

  private asset(each: Raw): EntityRef {
    const { id, fields } = this.fields(each, 'ASSET');
    return this.named({ ...newAsset(fields, this.now), id });
  }

  private customer(each: Raw): EntityRef {
    const title = each['title'] ?? each['name'];
    if (typeof title !== 'string' || title === '') wrong('a customer has no title');
    return this.named({ ...newCustomer(TENANT_ID, String(title), this.now), id: typeof each['id'] === 'string' ? each['id'] : this.newId() });
  }

  private values(each: Raw): KeyValue[] {
    if (!isObject(each['values'])) wrong(`${JSON.stringify(each)} has no values`);
    return Object.entries(each['values'] as Record<string, Json>).flatMap(([key, given]) => {
      const value = toValue(given, false);
      return value === null ? [] : [[key, value] as const];
    });
  }

  private time({ ts }: Raw): number {
    return typeof ts === 'number' ? ts : this.now;
  }

  private attributes(each: Raw): void {
    const { entity, scope = 'SERVER_SCOPE' } = each;
    if (!ATTRIBUTE_SCOPES.includes(scope as AttributeScope)) wrong(`scope "${String(scope)}" is not one of ${ATTRIBUTE_SCOPES.join(', ')}`);
    const place = { tenantId: TENANT_ID, entity: this.refOf(entity), scope: scope as AttributeScope };
    for (const [key, value] of this.values(each)) this.work.attributes.push({ ...place, key, value, lastUpdateTs: this.time(each) });
  }

  private telemetry(each: Raw): void {
    const entity = this.refOf(each['entity']);
    this.work.telemetry.push({
      tenantId: TENANT_ID,
      entity,
      ts: this.time(each),
      values: this.values(each),
      expiresAt: null,
      history: true,
      latest: true,
    });
  }

  private relation({ from, to, type = 'Contains', typeGroup = 'COMMON' }: Raw): void {
    const save = { from: this.refOf(from), to: this.refOf(to), type: String(type), typeGroup: String(typeGroup) };
    this.work.relations.push({ tenantId: TENANT_ID, save });
  }

  private alarm({ originator, type, severity = 'CRITICAL', ...rest }: Raw): void {
    if (typeof type !== 'string') wrong('an alarm has no type');
    const alarm: Alarm = {
      ...{ id: this.newId(), tenantId: TENANT_ID, createdTime: this.now, customerId: null, type: String(type), originator: this.refOf(originator) },
      ...{ severity: severity as Severity, acknowledged: false, cleared: false, assigneeId: null, startTs: this.now, endTs: this.now },
      ...{ ackTs: 0, clearTs: 0, assignTs: 0, details: null, propagate: false, propagateToOwner: false, propagateToTenant: false },
      propagateRelationTypes: [],
      ...rest,
    };
    this.put(alarmDoc(alarm));
  }
}

function listOf(given: Raw, key: string): Raw[] {
  const list = given[key] ?? [];
  if (!Array.isArray(list)) wrong(`${key} is not a list`);
  return (list as unknown[]).map((each) => {
    if (typeof each === 'string') return { name: each };
    return isObject(each) ? each : wrong(`${key} holds ${JSON.stringify(each)}`);
  });
}
