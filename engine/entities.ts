import { randomInt } from 'node:crypto';
import { newId } from './id.ts';
import { type EntityRef, type EntityType, NULL_ID } from './message.ts';
import type { Collection, Doc } from './store.ts';
import type { AttributeWrite } from './work.ts';

/** Documents of the entities that integrations, rule chains and the API all create, and their JSON as REST and messages show it (specs: rest-api §4). */

type Body = Record<string, unknown>;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Letters and digits from the system's random source. */
export function randomText(length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += LETTERS[randomInt(LETTERS.length)];
  return text;
}

/** What is wrong with a name that somebody gives; null: nothing. Entity and field are named in it. */
export function nameProblem(entity: string, name: unknown, field = 'name'): string | null {
  if (typeof name !== 'string' || name === '') return `${entity} ${field} should be specified!`;
  if (name.length > 255) return `Validation error: ${field} length must be equal or less than 255`;
  if (name.includes('\u0000')) return `Validation error: ${field} should not contain 0x00 symbol`;
  return isMarkup(name) ? `Validation error: ${field} is malformed` : null;
}

/** Texts that a browser would read as a tag are refused where they are shown as names. */
export const isMarkup = (text: string): boolean => /<[a-z/!?]/i.test(text);

export const nameKey = (tenantId: string, name: string): string => `${tenantId}/${name}`;

/** A new document: first version, id made from `now`. */
export function newDoc(fields: Omit<Doc, 'id' | 'createdTime' | 'version'> & { readonly id?: string }, now: number): Doc {
  return { ...fields, id: fields.id ?? newId(now), createdTime: now, version: 1 };
}

export interface NewDevice {
  readonly tenantId: string;
  readonly name: string;
  /** Name of its profile. */
  readonly type: string;
  readonly profileId: string;
  readonly label?: string | null;
  readonly customerId?: string | null;
  readonly additionalInfo?: unknown;
  /** Default: 20 random letters and digits. */
  readonly accessToken?: string;
  readonly deviceData?: unknown;
}

export function newDevice(device: NewDevice, now: number): { device: Doc; credentials: Doc } {
  const doc = newDoc(
    {
      collection: 'DEVICE',
      tenantId: device.tenantId,
      name: device.name,
      kind: device.type,
      label: device.label ?? null,
      customerId: device.customerId ?? null,
      uniqueKey: nameKey(device.tenantId, device.name),
      body: {
        deviceProfileId: { entityType: 'DEVICE_PROFILE', id: device.profileId },
        firmwareId: null,
        softwareId: null,
        externalId: null,
        additionalInfo: device.additionalInfo ?? null,
        deviceData: device.deviceData ?? { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } },
      },
    },
    now,
  );
  return { device: doc, credentials: newDeviceCredentials(doc, { credentialsId: device.accessToken ?? randomText(20) }, now) };
}

/** What clients read of a device before its first message: it is there, and it is not active. */
export function newDeviceState({ tenantId, id, createdTime }: Doc): AttributeWrite {
  const entity: EntityRef = { entityType: 'DEVICE', id };
  return { tenantId, entity, scope: 'SERVER_SCOPE', key: 'active', value: { type: 'BOOLEAN', value: false }, lastUpdateTs: createdTime };
}

export interface CredentialsFields {
  readonly credentialsType?: string;
  readonly credentialsId: string;
  readonly credentialsValue?: string | null;
}

export function newDeviceCredentials(device: Doc, fields: CredentialsFields, now: number): Doc {
  return newDoc(
    {
      collection: 'DEVICE_CREDENTIALS',
      tenantId: device.tenantId,
      name: fields.credentialsId,
      ref: device.id,
      uniqueKey: fields.credentialsId,
      body: {
        credentialsType: fields.credentialsType ?? 'ACCESS_TOKEN',
        credentialsId: fields.credentialsId,
        credentialsValue: fields.credentialsValue ?? null,
      },
    },
    now,
  );
}

export type NewAsset = Omit<NewDevice, 'accessToken' | 'deviceData'>;

export function newAsset(asset: NewAsset, now: number): Doc {
  return newDoc(
    {
      collection: 'ASSET',
      tenantId: asset.tenantId,
      name: asset.name,
      kind: asset.type,
      label: asset.label ?? null,
      customerId: asset.customerId ?? null,
      uniqueKey: nameKey(asset.tenantId, asset.name),
      body: { assetProfileId: { entityType: 'ASSET_PROFILE', id: asset.profileId }, externalId: null, additionalInfo: asset.additionalInfo ?? null },
    },
    now,
  );
}

export function newDeviceProfile(tenantId: string, name: string, now: number, extra: Body = {}): Doc {
  return newDoc(
    {
      collection: 'DEVICE_PROFILE',
      tenantId,
      name,
      uniqueKey: nameKey(tenantId, name),
      body: {
        description: null,
        image: null,
        default: false,
        type: 'DEFAULT',
        transportType: 'DEFAULT',
        provisionType: 'DISABLED',
        defaultRuleChainId: null,
        defaultDashboardId: null,
        defaultQueueName: null,
        defaultEdgeRuleChainId: null,
        provisionDeviceKey: null,
        firmwareId: null,
        softwareId: null,
        externalId: null,
        profileData: {
          configuration: { type: 'DEFAULT' },
          transportConfiguration: { type: 'DEFAULT' },
          provisionConfiguration: { type: 'DISABLED', provisionDeviceSecret: null },
          alarms: null,
        },
        ...extra,
      },
    },
    now,
  );
}

export function newAssetProfile(tenantId: string, name: string, now: number, extra: Body = {}): Doc {
  return newDoc(
    {
      collection: 'ASSET_PROFILE',
      tenantId,
      name,
      uniqueKey: nameKey(tenantId, name),
      body: {
        description: null,
        image: null,
        default: false,
        defaultRuleChainId: null,
        defaultDashboardId: null,
        defaultQueueName: null,
        defaultEdgeRuleChainId: null,
        externalId: null,
        ...extra,
      },
    },
    now,
  );
}

/** Address fields of customers, tenants and the like; absent = null. */
export const NO_CONTACT = Object.freeze({
  country: null,
  state: null,
  city: null,
  address: null,
  address2: null,
  zip: null,
  phone: null,
  email: null,
});

export function newCustomer(tenantId: string, title: string, now: number, extra: Body = {}): Doc {
  return newDoc(
    {
      collection: 'CUSTOMER',
      tenantId,
      name: title,
      uniqueKey: nameKey(tenantId, title),
      body: { parentCustomerId: null, ...NO_CONTACT, customMenuId: null, externalId: null, additionalInfo: null, ...extra },
    },
    now,
  );
}

/** The customer of everybody. */
export const isPublic = (customer: Doc | undefined): boolean =>
  (customer?.body['additionalInfo'] as { isPublic?: unknown } | null | undefined)?.isPublic === true;

/** Dashboards may be with many customers at once. */
export interface AssignedCustomer {
  readonly customerId: { readonly entityType: 'CUSTOMER'; readonly id: string };
  readonly title: string;
  readonly public: boolean;
}

export const assignedCustomers = (dashboard: Doc): readonly AssignedCustomer[] =>
  (dashboard.body['assignedCustomers'] as AssignedCustomer[] | null | undefined) ?? [];

export const isAssigned = (dashboard: Doc, customerId: string): boolean =>
  assignedCustomers(dashboard).some((assigned) => assigned.customerId.id === customerId);

export function withoutCustomer(dashboard: Doc, customerId: string): Doc {
  const others = assignedCustomers(dashboard).filter((assigned) => assigned.customerId.id !== customerId);
  return { ...dashboard, body: { ...dashboard.body, assignedCustomers: others } };
}

export function withCustomer(dashboard: Doc, customer: Doc): Doc {
  const assigned: AssignedCustomer = { customerId: { entityType: 'CUSTOMER', id: customer.id }, title: customer.name, public: isPublic(customer) };
  const others = assignedCustomers(withoutCustomer(dashboard, customer.id));
  return { ...dashboard, body: { ...dashboard.body, assignedCustomers: [...others, assigned] } };
}

export interface NewGroup {
  /** Entity type of its members. */
  readonly type: string;
  readonly name: string;
  readonly owner: EntityRef;
  /** The owner's reserved group of everything. */
  readonly all?: boolean;
  readonly additionalInfo?: unknown;
  readonly configuration?: unknown;
}

export function newGroup(tenantId: string, group: NewGroup, now: number): Doc {
  return newDoc(
    {
      collection: 'ENTITY_GROUP',
      tenantId,
      name: group.name,
      kind: group.type,
      ref: group.owner.id,
      customerId: group.owner.entityType === 'CUSTOMER' ? group.owner.id : null,
      uniqueKey: `${group.owner.id}/${group.type}/${group.name}`,
      body: {
        ownerId: group.owner,
        groupAll: group.all ?? false,
        edgeGroupAll: false,
        additionalInfo: group.additionalInfo ?? null,
        configuration: group.configuration ?? { columns: [], settings: {}, actions: {} },
      },
    },
    now,
  );
}

/** Members of a group are relations of this kind from the group. */
export const MEMBERSHIP = Object.freeze({ type: 'Contains', typeGroup: 'FROM_ENTITY_GROUP' });

export const entityRef = (doc: Doc): EntityRef => ({ entityType: doc.collection as EntityType, id: doc.id });

const idOf = (entityType: string, id: string | null | undefined) => ({ entityType, id: id ?? NULL_ID });

/** Whom an entity belongs to: its customer, else the tenant. */
export const ownerOf = (doc: Doc): EntityRef =>
  doc.customerId ? { entityType: 'CUSTOMER', id: doc.customerId } : { entityType: 'TENANT', id: doc.tenantId };

/** Where a collection's JSON has names of its own for what the document is found by. */
const SHAPES: { readonly [C in Collection]?: (doc: Doc) => Body } = {
  DEVICE: owned,
  ASSET: owned,
  ENTITY_VIEW: owned,
  DASHBOARD: (doc) => ({ title: doc.name, name: doc.name, ownerId: ownerOf(doc) }),
  TENANT: (doc) => ({ title: doc.name, name: doc.name, tenantId: undefined }),
  CUSTOMER: (doc) => ({ title: doc.name, name: doc.name, customerId: idOf('CUSTOMER', null), ownerId: ownerOf(doc) }),
  USER: (doc) => ({ email: doc.name, name: doc.name, customerId: idOf('CUSTOMER', doc.customerId), ownerId: ownerOf(doc) }),
  RULE_CHAIN: (doc) => ({ name: doc.name, type: doc.kind, root: doc.state === 'ROOT' }),
  CONVERTER: typed,
  INTEGRATION: typed,
  ENTITY_GROUP: (doc) => ({ name: doc.name, type: doc.kind, ownerIds: [doc.body['ownerId']] }),
  ALARM: (doc) => ({
    name: doc.kind,
    type: doc.kind,
    tenantId: idOf('TENANT', doc.tenantId),
    customerId: doc.body['customerId'] ? idOf('CUSTOMER', doc.body['customerId'] as string) : null,
    assigneeId: doc.body['assigneeId'] ? idOf('USER', doc.body['assigneeId'] as string) : null,
    status: doc.state,
  }),
};

/** Their body holds these under the same names in another form; the shape wins. */
const SHAPE_WINS: ReadonlySet<Collection> = new Set(['ALARM']);

function owned(doc: Doc): Body {
  return { customerId: idOf('CUSTOMER', doc.customerId), ownerId: ownerOf(doc), name: doc.name, type: doc.kind ?? null, label: doc.label ?? null };
}

function typed(doc: Doc): Body {
  return { name: doc.name, type: doc.kind };
}

/** The JSON of an entity as REST shows it. */
export function entityJson(doc: Doc): Body {
  const shape = SHAPES[doc.collection]?.(doc) ?? { name: doc.name };
  const head = { id: entityRef(doc), createdTime: doc.createdTime, tenantId: idOf('TENANT', doc.tenantId) };
  if (SHAPE_WINS.has(doc.collection)) return { ...doc.body, ...head, ...shape };
  return { ...head, ...shape, ...doc.body, version: doc.version };
}

/** As entity messages carry it into rule chains: without what only REST tells (recorded: cases/nodes). */
export function entityData(doc: Doc): Body {
  const { ownerId: _owner, ownerIds: _owners, parentCustomerId: _parent, customMenuId: _menu, ...data } = entityJson(doc);
  if (doc.collection === 'CUSTOMER') delete data['customerId'];
  return data;
}

/** What people call an entity type: `Device profile`. */
export function entityLabel(entityType: string): string {
  if (entityType === 'ENTITY_VIEW') return 'Entity View';
  if (entityType === 'AI_MODEL') return 'AI model';
  const words = entityType.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
