import assert from 'node:assert/strict';
import { newAsset, newAssetProfile, newCustomer, newDevice, newDeviceProfile, newDoc, newGroup } from '#engine/entities.ts';
import { newId } from '#engine/id.ts';
import { type EntityRef, type Message, NULL_ID } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import { newTenant, newUser } from '#engine/seed.ts';
import type { Doc } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { nodes } from '#rulechains/index.ts';
import { accidentIn, BAD_DATA } from './bad-input.ts';
import { nodeId, type TestChain, type TestEngine } from './chain.ts';
import { message, TENANT } from './message.ts';

/** One tenant that has something of everything, and for each node a configuration that finds it there. */

type Config = Record<string, unknown>;
const CREATED = 1_700_000_000_000;
const id = (number: number): string => `eeeeeeee-0000-1000-8000-${String(number).padStart(12, '0')}`;
const own = (doc: Doc, number: number): Doc => ({ ...doc, id: id(number) });
const tenant: EntityRef = { entityType: 'TENANT', id: TENANT };

const deviceProfile = own(newDeviceProfile(TENANT, 'default', CREATED, { default: true }), 1);
const assetProfile = own(newAssetProfile(TENANT, 'default', CREATED, { default: true }), 2);
const customer = own(newCustomer(TENANT, 'Customer 1', CREATED), 3);
const made = newDevice({ tenantId: TENANT, name: 'TH1', type: 'default', profileId: deviceProfile.id, customerId: customer.id }, CREATED);
const device = own(made.device, 4);
const asset = own(newAsset({ tenantId: TENANT, name: 'Plant 1', type: 'default', profileId: assetProfile.id }, CREATED), 5);
const group = own(newGroup(TENANT, { type: 'DEVICE', name: 'Sensors', owner: tenant }, CREATED), 6);
const user = newUser({ tenantId: TENANT, customerId: customer.id, email: 'user@plant', authority: 'CUSTOMER_USER', phone: '+15550102' }, CREATED);
const template = newDoc(
  {
    ...{ id: id(8), collection: 'NOTIFICATION_TEMPLATE', tenantId: TENANT, name: 'Template' },
    body: {
      notificationType: 'RULE_NODE',
      configuration: {
        deliveryMethodsTemplates: {
          WEB: { enabled: true, subject: 'a', body: '${temperature}', method: 'WEB' },
          EMAIL: { enabled: true, subject: 'a', body: 'b', method: 'EMAIL' },
          SMS: { enabled: true, body: 'b', method: 'SMS' },
          SLACK: { enabled: true, body: 'b', method: 'SLACK' },
        },
      },
    },
  },
  CREATED,
);
const target = newDoc(
  {
    ...{ id: id(9), collection: 'NOTIFICATION_TARGET', tenantId: TENANT, name: 'Everybody' },
    body: { configuration: { type: 'PLATFORM_USERS', usersFilter: { type: 'ALL_USERS' } } },
  },
  CREATED,
);

export const DEVICE: EntityRef = { entityType: 'DEVICE', id: device.id };
export const ASSET: EntityRef = { entityType: 'ASSET', id: asset.id };
export const CUSTOMER: EntityRef = { entityType: 'CUSTOMER', id: customer.id };
export const GROUP_ID = group.id;
/** Of `openEngine`: there, without nodes. */
export const CALLED: TestChain = { id: id(10), nodes: [] };

export async function furnish({ backend }: TestEngine): Promise<void> {
  const work = new Work();
  const docs = [own(newTenant({ title: 'Tenant' }, NULL_ID, CREATED), 0), deviceProfile, assetProfile, customer, device, asset, group];
  docs[0] = { ...docs[0]!, id: TENANT, tenantId: TENANT };
  docs.push({ ...made.credentials, id: device.id, ref: device.id }, user.user, template, target);
  for (const doc of docs) work.docs.push({ doc });
  const typeGroup = 'COMMON';
  for (const [from, to] of [
    [DEVICE, ASSET],
    [ASSET, DEVICE],
    [{ entityType: 'ENTITY_GROUP', id: group.id } as const, DEVICE],
  ] as const)
    work.relations.push({ tenantId: TENANT, save: { from, to, type: 'Contains', typeGroup, additionalInfo: null } });
  work.attributes.push({
    ...{ tenantId: TENANT, entity: DEVICE, scope: 'SERVER_SCOPE', key: 'threshold', lastUpdateTs: CREATED },
    value: { type: 'LONG', value: 20 },
  });
  await backend.commit(work);
}

/** Over the untouched configuration of nodes that do not start with it, or would do nothing. */
const SET_UP: Readonly<Record<string, Config>> = {
  'filter.TbCheckRelationNode': { entityType: 'ASSET', entityId: ASSET.id },
  'filter.TbCheckMessageNode': { messageNames: ['temperature'], metadataNames: ['deviceName'] },
  'geo.TbGpsGeofencingFilterNode': {
    fetchPerimeterInfoFromMessageMetadata: false,
    perimeterType: 'POLYGON',
    polygonsDefinition: '[[1,1],[1,2],[2,2]]',
  },
  'metadata.TbGetTelemetryNode': { latestTsKeyNames: ['temperature'], fetchMode: 'ALL', aggregation: 'AVG' },
  'metadata.TbGetAttributesNode': { serverAttributeNames: ['threshold', '$[temperature]'], latestTsKeyNames: ['temperature'] },
  'metadata.TbGetCustomerDetailsNode': { detailsList: ['ID', 'TITLE', 'EMAIL'] },
  'metadata.TbGetTenantDetailsNode': { detailsList: ['ID', 'TITLE', 'EMAIL'] },
  'transform.TbDuplicateMsgToGroupNode': { entityGroupId: GROUP_ID },
  'transform.TbDuplicateMsgToGroupByNameNode': { groupName: 'Sensors' },
  'transform.TbCopyKeysNode': { keys: ['temp.*'] },
  'transform.TbDeleteKeysNode': { keys: ['temp.*'] },
  'transform.TbRenameKeysNode': { renameKeysMapping: { temperature: 't' } },
  'action.TbAssignToCustomerNode': { customerNamePattern: 'Customer $[temperature]', createCustomerIfNotExists: true },
  'action.TbUnassignFromCustomerNode': { customerNamePattern: 'Customer 1' },
  'action.TbCreateRelationNode': {
    ...{ entityType: 'ASSET', entityNamePattern: 'Plant $[temperature]', entityTypePattern: 'default', createEntityIfNotExists: true },
  },
  'action.TbDeleteRelationNode': { entityType: 'ASSET', entityNamePattern: 'Plant 1', deleteForSingleEntity: true },
  'telemetry.TbMsgDeleteAttributesNode': { keys: ['threshold', '$[temperature]'], sendAttributesDeletedNotification: true },
  'telemetry.TbMsgAttributesNode': { sendAttributesUpdatedNotification: true, notifyDevice: true, scope: 'SHARED_SCOPE' },
  'action.TbAddToGroupNode': { groupNamePattern: 'Sensors $[temperature]', createGroupIfNotExists: true, removeFromCurrentGroups: true },
  'action.TbRemoveFromGroupNode': { groupNamePattern: 'Sensors' },
  'action.TbChangeOwnerNode': { ownerType: 'CUSTOMER', ownerNamePattern: 'Customer $[temperature]', createOwnerIfNotExists: true },
  'integration.TbIntegrationDownlinkNode': { integrationId: id(11) },
  'flow.TbRuleChainInputNode': { ruleChainId: CALLED.id },
  'deduplication.TbMsgDeduplicationNode': { strategy: 'ALL', outMsgType: 'POST_TELEMETRY_REQUEST' },
  'analytics.latest.telemetry.TbAggLatestTelemetryNode': {
    parentEntitiesQuery: { type: 'group', entityGroupId: GROUP_ID },
  },
  'analytics.latest.alarm.TbAlarmsCountNode': { parentEntitiesQuery: { type: 'group', entityGroupId: GROUP_ID } },
};
export const NS = 'org.thingsboard.rule.engine.';
export const setUp = (node: AnyNode): Config => ({ ...node.defaults, ...SET_UP[node.type.slice(NS.length)] });

export const INNER: readonly AnyNode[] = nodes.filter((node) => !node.send);
export const nameOf = ({ type }: AnyNode): string => type.split('.').at(-1)!;

/** A message that stands before a node of a chain. */
export const before = (chainId: string, node: string, fields: Parameters<typeof message>[0] = {}): Message =>
  message({ id: newId(), originator: DEVICE, data: BAD_DATA[0]!.data, ...fields, at: { chainId, nodeId: nodeId(chainId, node), labels: null } });

/** Every message has come to one counted end, or waits at a node; what failed says why in words; nothing is logged but `mayLog`. */
export async function assertAccounted({ backend, log }: TestEngine, works: readonly Work[], mayLog?: string): Promise<void> {
  const { created, stored, filtered, dead, inFlight } = (await backend.store.ledger(TENANT, TENANT)).messages;
  const due = (work: Work) => work.done.flatMap(({ messages }) => messages).filter(({ at }) => at?.due !== undefined).length;
  const open = works.reduce((sum, work) => sum + work.kept.length - work.keptRemovals.length + work.delayed.length - due(work), 0);
  assert.deepEqual({ created, open: inFlight }, { created: stored + filtered + dead + inFlight, open }, 'the ledger adds up');
  assert.deepEqual(accidents(works), []);
  assert.deepEqual(
    log.filter((line) => line !== mayLog),
    [],
  );
}

/** Error texts that nobody meant for a user. */
export function accidents(works: readonly Work[]): string[] {
  const found = new Set<string>();
  for (const work of works) {
    for (const { reason, node, payload } of work.deadLetters) {
      const accident = accidentIn(reason);
      if (accident) found.add(`${node?.nodeName}: ${accident} (${payload.toString().slice(0, 60)})`);
    }
    for (const { body } of work.events) {
      const { relationType, error, data } = body as Config;
      const accident = String(relationType).toLowerCase() === 'failure' ? accidentIn(error) : null;
      if (accident) found.add(`${accident} (${String(data).slice(0, 60)})`);
    }
  }
  return [...found];
}
