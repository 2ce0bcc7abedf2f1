import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import type { TSchema } from 'typebox';
import { Registry } from '#engine/registry.ts';
import { problems } from '#engine/schema.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import { nodes } from '#rulechains/index.ts';

type Described = TSchema & {
  title?: string;
  description?: string;
  properties?: Record<string, Described>;
  anyOf?: Described[];
  items?: Described;
  const?: unknown;
};

/** Paths of fields that the form could not explain. */
function undescribed(schema: Described, path: string, found: string[] = []): string[] {
  for (const [key, field] of Object.entries(schema.properties ?? {})) {
    const isConstant = field.const !== undefined;
    if (!isConstant && !(field.title && field.description)) found.push(`${path}.${key}`);
    undescribed(field, `${path}.${key}`, found);
  }
  for (const [index, choice] of (schema.anyOf ?? []).entries()) undescribed(choice, `${path}|${index}`, found);
  if (schema.items) undescribed(schema.items, `${path}[]`, found);
  return found;
}

test('nodes: ids are unique', () => {
  assert.equal(new Registry(nodes).all.length, nodes.length);
  assert.equal(new Set(nodes.map(({ family, label }) => `${family} ${label}`)).size, nodes.length);
});

for (const node of nodes) {
  const name = node.type.split('.').at(-1);
  test(`${name}: every field has a title and a description`, () => assert.deepEqual(undescribed(node.config as Described, name!), []));
  test(`${name}: what a new node gets is a configuration`, () => {
    assert.deepEqual(problems(node.config, node.defaults), []);
    assert.doesNotThrow(() => mapConfiguration(node, node.defaults));
    assert.equal(node.refuse?.(node.defaults) ?? null, null);
  });
  test(`${name}: takes one message or batches, sends, or makes its own`, () => {
    assert.equal([node.process, node.processBatch, node.send, node.inputs === false ? true : undefined].filter(Boolean).length, 1);
    assert.equal((node.upgrades ?? []).length, node.version);
    assert.equal(node.relations.includes('Failure'), false);
  });
  test(`${name}: a key that it does not know ${node.anyKey ? 'means nothing' : 'makes it unusable'}`, () => {
    const read = () => mapConfiguration(node, { ...node.defaults, zzUnknown: 1 });
    if (node.anyKey) assert.doesNotThrow(read);
    else if (node.type.startsWith('org.thingsboard.'))
      assert.throws(read, { message: `Can't convert value: ${JSON.stringify({ ...node.defaults, zzUnknown: 1 })}` });
    else assert.throws(read, /additional properties|zzUnknown/);
  });
}

/** The oldest configurations that files hold (rule-nodes §1.7, §5.2), and what they become. */
for (const { type, from = 0, old, upgraded } of [
  {
    type: 'metadata.TbGetAttributesNode',
    old: { serverAttributeNames: ['a'], fetchToData: true },
    upgraded: { serverAttributeNames: ['a'], fetchTo: 'DATA' },
  },
  {
    type: 'metadata.TbGetAttributesNode',
    old: { serverAttributeNames: [], fetchToData: null },
    upgraded: { serverAttributeNames: [], fetchTo: 'METADATA' },
  },
  { type: 'metadata.TbGetAttributesNode', old: { fetchTo: 'DATA' }, upgraded: { fetchTo: 'METADATA' } },
  {
    type: 'metadata.TbGetOriginatorFieldsNode',
    old: { fieldsMapping: { name: 'deviceName' } },
    upgraded: { dataMapping: { name: 'deviceName' }, fetchTo: 'METADATA' },
  },
  {
    type: 'transform.TbRenameKeysNode',
    old: { fromMetadata: true, renameKeysMapping: { a: 'b' } },
    upgraded: { renameIn: 'METADATA', renameKeysMapping: { a: 'b' } },
  },
  {
    type: 'transform.TbRenameKeysNode',
    from: 1,
    old: { fromMetadata: 'DATA', renameKeysMapping: {} },
    upgraded: { renameIn: 'DATA', renameKeysMapping: {} },
  },
  {
    type: 'transform.TbRenameKeysNode',
    from: 1,
    old: { fromMetadata: 'DATA', renameIn: 'METADATA' },
    upgraded: { fromMetadata: 'DATA', renameIn: 'METADATA' },
  },
  { type: 'telemetry.TbMsgTimeseriesNode', old: { defaultTTL: 0 }, upgraded: { defaultTTL: 0, processingSettings: { type: 'ON_EVERY_MESSAGE' } } },
  {
    type: 'telemetry.TbMsgTimeseriesNode',
    old: { defaultTTL: 0, skipLatestPersistence: 'true', useServerTs: null },
    upgraded: {
      defaultTTL: 0,
      useServerTs: null,
      processingSettings: {
        type: 'ADVANCED',
        timeseries: { type: 'ON_EVERY_MESSAGE' },
        latest: { type: 'SKIP' },
        webSockets: { type: 'ON_EVERY_MESSAGE' },
        calculatedFields: { type: 'ON_EVERY_MESSAGE' },
      },
    },
  },
  {
    type: 'telemetry.TbMsgAttributesNode',
    old: { scope: 'CLIENT_SCOPE' },
    upgraded: {
      scope: 'CLIENT_SCOPE',
      notifyDevice: true,
      sendAttributesUpdatedNotification: false,
      updateAttributesOnlyOnValueChange: false,
      processingSettings: { type: 'ON_EVERY_MESSAGE' },
    },
  },
  {
    type: 'telemetry.TbMsgAttributesNode',
    from: 1,
    old: { scope: 'CLIENT_SCOPE', notifyDevice: 'false', sendAttributesUpdatedNotification: 'true' },
    upgraded: {
      scope: 'CLIENT_SCOPE',
      notifyDevice: false,
      sendAttributesUpdatedNotification: true,
      updateAttributesOnlyOnValueChange: true,
      processingSettings: { type: 'ON_EVERY_MESSAGE' },
    },
  },
  {
    type: 'telemetry.TbMsgAttributesNode',
    old: { notifyDevice: 'no', sendAttributesUpdatedNotification: 'TRUE', updateAttributesOnlyOnValueChange: null },
    upgraded: {
      notifyDevice: true,
      sendAttributesUpdatedNotification: false,
      updateAttributesOnlyOnValueChange: true,
      processingSettings: { type: 'ON_EVERY_MESSAGE' },
    },
  },
  { type: 'metadata.TbGetAttributesNode', old: { fetchToData: 'true' }, upgraded: { fetchTo: 'DATA' } },
  {
    type: 'metadata.TbGetDeviceAttrNode',
    old: { fetchToData: true, tellFailureIfAbsent: false },
    upgraded: { tellFailureIfAbsent: false, fetchTo: 'DATA' },
  },
  { type: 'metadata.TbGetDeviceAttrNode', old: { deviceRelationsQuery: {} }, upgraded: { deviceRelationsQuery: {}, fetchTo: 'METADATA' } },
  ...['Customer', 'Tenant', 'Related'].flatMap((name) => [
    {
      type: `metadata.TbGet${name}AttributeNode`,
      old: { attrMapping: { t: 'th' }, telemetry: true },
      upgraded: { dataMapping: { t: 'th' }, dataToFetch: 'LATEST_TELEMETRY', fetchTo: 'METADATA' },
    },
    {
      type: `metadata.TbGet${name}AttributeNode`,
      old: { attrMapping: {}, telemetry: false },
      upgraded: { dataMapping: {}, dataToFetch: 'ATTRIBUTES', fetchTo: 'METADATA' },
    },
  ]),
  ...['Customer', 'Tenant'].flatMap((name) => [
    {
      type: `metadata.TbGet${name}DetailsNode`,
      old: { detailsList: ['ID'], addToMetadata: true },
      upgraded: { detailsList: ['ID'], fetchTo: 'METADATA' },
    },
    { type: `metadata.TbGet${name}DetailsNode`, old: { addToMetadata: false }, upgraded: { fetchTo: 'DATA' } },
  ]),
  { type: 'metadata.TbFetchDeviceCredentialsNode', old: { fetchToMetadata: true }, upgraded: { fetchTo: 'METADATA' } },
  { type: 'metadata.TbFetchDeviceCredentialsNode', old: { fetchToMetadata: false }, upgraded: { fetchTo: 'DATA' } },
  {
    type: 'metadata.TbGetTelemetryNode',
    old: { fetchMode: 'FIRST', orderBy: 'DESC', aggregation: 'MAX' },
    upgraded: { limit: 1000, fetchMode: 'FIRST', orderBy: 'ASC', aggregation: 'NONE' },
  },
  {
    type: 'metadata.TbGetTelemetryNode',
    old: { fetchMode: 'LAST', limit: 5 },
    upgraded: { limit: 5, fetchMode: 'LAST', orderBy: 'DESC', aggregation: 'NONE' },
  },
  {
    type: 'metadata.TbGetTelemetryNode',
    old: { fetchMode: 'MIDDLE' },
    upgraded: { limit: 1000, fetchMode: 'LAST', orderBy: 'DESC', aggregation: 'NONE' },
  },
  {
    type: 'metadata.TbGetTelemetryNode',
    old: { fetchMode: 'ALL', orderBy: '', aggregation: 'AVG' },
    upgraded: { limit: 1000, fetchMode: 'ALL', orderBy: 'ASC', aggregation: 'AVG' },
  },
  {
    type: 'metadata.TbGetTelemetryNode',
    from: 1,
    old: { fetchMode: 'ALL', orderBy: 'DESC', limit: 7 },
    upgraded: { limit: 7, fetchMode: 'ALL', orderBy: 'DESC', aggregation: 'NONE' },
  },
  { type: 'metadata.TbGetTelemetryNode', from: 1, old: { fetchMode: 'FIRST', limit: null }, upgraded: { limit: 1000, fetchMode: 'FIRST' } },
  {
    type: 'metadata.TbGetTelemetryNode',
    from: 1,
    old: { fetchMode: 'ALL', orderBy: '', aggregation: null },
    upgraded: { limit: 1000, fetchMode: 'ALL', orderBy: '', aggregation: 'NONE' },
  },
  { type: 'metadata.TbGetTelemetryNode', old: { fetchMode: null, orderBy: '' }, upgraded: { limit: 1000, fetchMode: null, orderBy: '' } },
  { type: 'metadata.TbGetTelemetryNode', old: { latestTsKeyNames: ['t'] }, upgraded: { limit: 1000, latestTsKeyNames: ['t'] } },
  { type: 'metadata.CalculateDeltaNode', old: { round: 1 }, upgraded: { round: 1, excludeZeroDeltas: false } },
  { type: 'metadata.CalculateDeltaNode', old: { excludeZeroDeltas: true }, upgraded: { excludeZeroDeltas: true } },
  { type: 'debug.TbMsgGeneratorNode', old: { msgCount: 1, queueName: 'Main' }, upgraded: { msgCount: 1, originatorType: 'RULE_NODE' } },
  {
    type: 'debug.TbMsgGeneratorNode',
    old: { originatorType: 'DEVICE', originatorId: 'x' },
    upgraded: { originatorType: 'DEVICE', originatorId: 'x' },
  },
  { type: 'flow.TbCheckpointNode', old: { queueName: 'HighPriority' }, upgraded: {} },
  { type: 'flow.TbRuleChainInputNode', old: { ruleChainId: 'x' }, upgraded: { ruleChainId: 'x', forwardMsgToDefaultRuleChain: false } },
] as { type: string; from?: number; old: Record<string, unknown>; upgraded: unknown }[])
  test(`upgrade: ${type} ${JSON.stringify(old)}`, () => {
    const node = new Registry(nodes).get(`org.thingsboard.rule.engine.${type}`)!;
    assert.deepEqual(
      node.upgrades!.slice(from).reduce((config, step) => step(config), old),
      upgraded,
    );
  });

/** Their old flags are needed: without them the file keeps what it has, or the node gets its defaults (rule-nodes §1.5). */
for (const { type, old, error } of [
  {
    type: 'metadata.TbGetCustomerAttributeNode',
    old: { telemetry: true },
    error: "property to update: 'attrMapping' does not exist in configuration.",
  },
  {
    type: 'metadata.TbGetRelatedAttributeNode',
    old: { attrMapping: {}, telemetry: 'x' },
    error: "property to update: 'telemetry' has unexpected value: x. Allowed values: true or false!",
  },
  {
    type: 'metadata.TbGetCustomerDetailsNode',
    old: { detailsList: [] },
    error: "property to update: 'addToMetadata' does not exist in configuration.",
  },
  {
    type: 'metadata.TbFetchDeviceCredentialsNode',
    old: { fetchToMetadata: null },
    error: "property to update: 'fetchToMetadata' has unexpected value: null. Allowed values: true or false!",
  },
] as { type: string; old: Record<string, unknown>; error: string }[])
  test(`upgrade: ${type} ${JSON.stringify(old)} can not be`, () => {
    const [step] = new Registry(nodes).get(`org.thingsboard.rule.engine.${type}`)!.upgrades!;
    assert.throws(() => step!(old), { message: error });
  });

test('root chain: every node is known, at its version, and has a configuration', () => {
  const { ruleChain, metadata } = JSON.parse(readFileSync(new URL('../../rulechains/chains/root.json', import.meta.url), 'utf8'));
  const registry = new Registry(nodes);
  const read = metadata.nodes.map(({ name, type, configurationVersion, configuration }: Record<string, string>) => {
    const node = registry.get(type!)!;
    assert.equal(configurationVersion, node.version);
    mapConfiguration(node, configuration);
    return `${name} (${node.label})`;
  });
  assert.deepEqual(
    metadata.connections.map(
      ({ fromIndex, toIndex, type }: { fromIndex: number; toIndex: number; type: string }) => `${read[fromIndex]} - ${type} -> ${read[toIndex]}`,
    ),
    [
      'Message Type Switch (message type switch) - Post telemetry -> Save Timeseries (save time series)',
      'Message Type Switch (message type switch) - Post attributes -> Save Client Attributes (save attributes)',
      'Message Type Switch (message type switch) - RPC Request from Device -> Log RPC from Device (log)',
      'Message Type Switch (message type switch) - Other -> Log Other (log)',
      'Message Type Switch (message type switch) - RPC Request to Device -> RPC Call Request (rpc call request)',
    ],
  );
  assert.deepEqual([ruleChain.name, ruleChain.type, ruleChain.root, metadata.firstNodeIndex], ['Root Rule Chain', 'CORE', true, 2]);
});
