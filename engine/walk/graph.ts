import { ConfigError } from '#engine/errors.ts';
import { isUuid } from '#engine/id.ts';
import type { AnyNode } from '#engine/node.ts';
import type { NodeRegistry } from '#engine/registry.ts';
import type { Doc } from '#engine/store.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import type { ChainConnection, ChainMetadata, ChainNode, DebugSettings } from './chain.ts';

const INPUT_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode';
/** Members of a cluster that run the node: a free choice for the first, forced for the second, off for all others (rule-nodes §1.2). */
const SINGLETON_CHOICE = new Set(['org.thingsboard.rule.engine.mqtt.TbMqttNode']);
const SINGLETON_FORCED = new Set(['org.thingsboard.rule.engine.mqtt.azure.TbAzureIotHubNode']);
const NAME_LIMIT = 255;
const HTML = /<[a-z!/][^>]*>/i;

export interface GraphOptions {
  readonly chainId: string;
  readonly nodes: NodeRegistry;
  /** What is stored of this chain: nodes keep their id and time by their id. null: nothing yet. */
  readonly current: ChainMetadata | null;
  /** Name of a chain of the tenant, for nodes made from legacy links; null: not known. */
  chainName(chainId: string): string | null;
  newId(): string;
  readonly now: number;
  /** How long "debug all" stays on. Default 15 minutes. */
  readonly debugMs?: number;
}

type Raw = Record<string, unknown>;

/**
 * The graph of a rule chain as it is stored, made of what a file or REST brought (rule-nodes §1): old forms converted, configurations upgraded, ids given.
 * What a node can not use (unknown class, bad script or configuration) is kept: the node says so when messages reach it. Refused is only what no graph can hold.
 * @throws ConfigError with ThingsBoard's text.
 */
export function checkGraph(input: unknown, options: GraphOptions): ChainMetadata {
  const metadata = record(input) ?? refuse('Rule chain metadata is missing!');
  const posted = list(metadata['nodes'], 'nodes').map((node) => checkNode(node, options));
  const connections = list(metadata['connections'], 'connections').map((connection) => checkConnection(connection, posted.length));
  let first = index(metadata['firstNodeIndex'], posted.length);

  for (const link of list(metadata['ruleChainConnections'], 'ruleChainConnections')) {
    const { node, connection } = convertLegacy(link, posted.length, options);
    posted.push(node);
    connections.push(connection);
  }
  refuseCycles(connections, posted.length);

  // A node under an id that this chain does not have vanishes with its arrows (rule-nodes §7 row 23); the rest is ordered as it will be read back.
  const order = posted.map((node, at) => ({ node, at })).filter((entry): entry is { node: ChainNode; at: number } => entry.node !== null);
  order.sort((a, b) => a.node.createdTime! - b.node.createdTime! || a.at - b.at);
  const place = new Map(order.map((entry, now) => [entry.at, now]));
  first = first === null ? null : (place.get(first) ?? null);

  const unique = new Map<string, ChainConnection>();
  for (const { fromIndex, toIndex, type } of connections) {
    const from = place.get(fromIndex);
    const to = place.get(toIndex);
    if (from !== undefined && to !== undefined) unique.set(`${from} ${to} ${type}`, { fromIndex: from, toIndex: to, type });
  }
  const notes = Array.isArray(metadata['notes']) && metadata['notes'].length > 0 ? { notes: metadata['notes'] } : {};
  return {
    ruleChainId: { entityType: 'RULE_CHAIN', id: options.chainId },
    firstNodeIndex: first,
    nodes: order.map((entry) => entry.node),
    connections: [...unique.values()].sort(
      (a, b) => a.fromIndex - b.fromIndex || a.toIndex - b.toIndex || (a.type < b.type ? -1 : a.type > b.type ? 1 : 0),
    ),
    ruleChainConnections: null,
    ...notes,
  };
}

/** null: an id that this chain does not have. */
function checkNode(input: unknown, options: GraphOptions): ChainNode | null {
  const node = record(input) ?? refuse('Rule node is not an object!');
  const type = node['type'];
  if (typeof type !== 'string' || type === '') refuse('Rule node type should be specified!');
  const name = node['name'] ?? null;
  if (name !== null && typeof name !== 'string') refuse('Rule node name should be a text!');
  if (name !== null && name.length > NAME_LIMIT) refuseNode(name, `name length must be equal or less than ${NAME_LIMIT}`);
  if (name !== null && HTML.test(name)) refuseNode(name, 'name is malformed');

  const id = record(node['id'])?.['id'];
  const stored = typeof id === 'string' ? options.current?.nodes.find((known) => known.id?.id === id.toLowerCase()) : undefined;
  if (id !== undefined && id !== null && !stored) {
    if (typeof id !== 'string' || !isUuid(id)) refuse(`Invalid UUID string: ${String(id)}`);
    return null;
  }

  const definition = options.nodes.get(type);
  const { configuration, version, queueName } = upgrade(node, definition);
  if (definition && (configuration === null || configuration === undefined)) refuse('The configuration of the node must not be null.');
  const refusal = record(configuration) ? definition?.refuse?.(configuration as Raw) : null;
  // The original's text for a bad id comes without the node's name (rule-nodes §7 row 20).
  if (refusal?.startsWith('Invalid UUID string')) refuse(refusal);
  if (refusal) refuseNode(name ?? '', refusal);

  return {
    id: stored?.id ?? { entityType: 'RULE_NODE', id: options.newId() },
    createdTime: stored?.createdTime ?? options.now,
    ruleChainId: { entityType: 'RULE_CHAIN', id: options.chainId },
    type,
    name: name as string,
    configuration,
    configurationVersion: version,
    debugSettings: debugSettings(node, options),
    singletonMode: SINGLETON_FORCED.has(type) || (SINGLETON_CHOICE.has(type) && node['singletonMode'] === true),
    queueName: queueName ?? (typeof node['queueName'] === 'string' ? node['queueName'] : null),
    additionalInfo: record(node['additionalInfo']),
    externalId: node['externalId'] ?? null,
  };
}

/** Rule-nodes §1.5, with the recorded corrections §7 rows 1-3. */
function upgrade(node: Raw, definition: AnyNode | undefined): { configuration: unknown; version: number; queueName: string | null } {
  const old = node['configuration'] ?? null;
  const version = typeof node['configurationVersion'] === 'number' ? Math.trunc(node['configurationVersion']) : 0;
  if (!definition || version >= definition.version) return { configuration: old, version, queueName: null };
  const settled = (configuration: unknown, queueName: string | null = null) => ({ configuration, version: definition.version, queueName });
  const before = record(old);
  if (!before) return settled(structuredClone(definition.defaults));
  let configuration = structuredClone(before);
  try {
    // A version below 0 is no version any step starts from: none runs.
    for (let step = version; step >= 0 && step < definition.version; step++)
      configuration = definition.upgrades?.[step]?.(configuration) ?? configuration;
  } catch {
    return settled(isMappable(definition, before) ? before : structuredClone(definition.defaults));
  }
  const moved = definition.usesQueueName && typeof before['queueName'] === 'string' && JSON.stringify(configuration) !== JSON.stringify(before);
  return settled(configuration, moved ? (before['queueName'] as string) : null);
}

function isMappable(definition: AnyNode, configuration: Raw): boolean {
  try {
    mapConfiguration(definition, configuration);
    return true;
  } catch {
    return false;
  }
}

/** `allEnabled: true` is a command that ends by itself; `debugMode` is its older form. */
function debugSettings(node: Raw, { now, debugMs = 15 * 60_000 }: GraphOptions): DebugSettings | null {
  const settings = record(node['debugSettings']);
  if (!settings) return node['debugMode'] === true ? { failuresEnabled: true, allEnabled: false, allEnabledUntil: now + debugMs } : null;
  const until = typeof settings['allEnabledUntil'] === 'number' ? Math.min(settings['allEnabledUntil'], now + debugMs) : 0;
  return {
    failuresEnabled: settings['failuresEnabled'] === true,
    allEnabled: false,
    allEnabledUntil: settings['allEnabled'] === true ? now + debugMs : until,
  };
}

function checkConnection(input: unknown, nodes: number): ChainConnection {
  const connection = record(input) ?? refuse('Connection is not an object!');
  const type = connection['type'];
  if (typeof type !== 'string' || type.trim() === '') refuse('Validation error: type must not be blank');
  const fromIndex = index(connection['fromIndex'] ?? 0, nodes)!;
  const toIndex = index(connection['toIndex'] ?? 0, nodes)!;
  if (fromIndex === toIndex) refuse("Can't create the relation to yourself.");
  return { fromIndex, toIndex, type };
}

/** A link straight to another chain becomes a node "rule chain" at `place` and an arrow to it (rule-nodes §1.4). */
function convertLegacy(input: unknown, place: number, options: GraphOptions): { node: ChainNode; connection: ChainConnection } {
  const link = record(input) ?? refuse('Connection is not an object!');
  const target = record(link['targetRuleChainId'])?.['id'];
  if (typeof target !== 'string' || !isUuid(target)) refuse(`Invalid UUID string: ${String(target)}`);
  const {
    ruleChainNodeId: _block,
    description: _text,
    ...layout
  } = record(link['additionalInfo']) ?? refuse('Connection to a rule chain has no additionalInfo!');
  if (typeof link['type'] !== 'string' || link['type'].trim() === '') refuse('Validation error: type must not be blank');
  const node: ChainNode = {
    id: { entityType: 'RULE_NODE', id: options.newId() },
    createdTime: options.now,
    ruleChainId: { entityType: 'RULE_CHAIN', id: options.chainId },
    type: INPUT_NODE,
    name: options.chainName(target.toLowerCase()) ?? 'Rule Chain Input',
    configuration: { ruleChainId: target },
    configurationVersion: 0,
    debugSettings: null,
    singletonMode: false,
    queueName: null,
    additionalInfo: layout,
    externalId: null,
  };
  return { node, connection: { fromIndex: index(link['fromIndex'] ?? 0, place)!, toIndex: place, type: link['type'] } };
}

/** @throws ConfigError; what a cycle inside one chain would mean for a message is decided by nobody. */
function refuseCycles(connections: readonly ChainConnection[], nodes: number): void {
  if (topologicalOrder(connections, nodes) === null) refuse("Can't create circling relations in rule chain.");
}

/** Indices such that every arrow leads to a later place; of the nodes that could be next, the one with the smallest index. null: there is a cycle. */
export function topologicalOrder(connections: readonly Pick<ChainConnection, 'fromIndex' | 'toIndex'>[], nodes: number): number[] | null {
  const incoming = new Array<number>(nodes).fill(0);
  const targets = Array.from({ length: nodes }, () => [] as number[]);
  for (const { fromIndex, toIndex } of connections) {
    incoming[toIndex]!++;
    targets[fromIndex]!.push(toIndex);
  }
  const order: number[] = [];
  const ready = incoming.flatMap((count, node) => (count === 0 ? [node] : []));
  for (let next = 0; next < ready.length; next++) {
    const node = ready[next]!;
    order.push(node);
    for (const target of targets[node]!) if (--incoming[target]! === 0) ready.push(target);
  }
  return order.length === nodes ? order : null;
}

/** The file that an editor saves: the chain without what belongs to this server (rule-nodes §1.1). */
export function exportChain(chain: Doc, metadata: ChainMetadata): { ruleChain: Raw; metadata: Raw } {
  const { debugMode = false, configuration = null, additionalInfo = null } = chain.body as Raw;
  return {
    ruleChain: { additionalInfo, name: chain.name, type: chain.kind ?? 'CORE', firstRuleNodeId: null, root: false, debugMode, configuration },
    metadata: {
      firstNodeIndex: metadata.firstNodeIndex,
      nodes: metadata.nodes.map((node) => ({
        additionalInfo: node.additionalInfo,
        type: node.type,
        name: node.name,
        debugSettings: node.debugSettings,
        singletonMode: node.singletonMode,
        queueName: node.queueName,
        configurationVersion: node.configurationVersion,
        configuration: node.configuration,
      })),
      connections: metadata.connections,
      ruleChainConnections: null,
      ...(metadata.notes ? { notes: metadata.notes } : {}),
    },
  };
}

export interface ChainFile {
  readonly name: string;
  readonly type: 'CORE' | 'EDGE';
  readonly debugMode: boolean;
  readonly configuration: unknown;
  readonly additionalInfo: unknown;
  /** For `checkGraph`. */
  readonly metadata: unknown;
}

/** A chain file, new or old. What it says about ids and being the root chain is not taken over. @throws ConfigError */
export function readChainFile(file: unknown): ChainFile {
  const chain = record(record(file)?.['ruleChain']);
  const metadata = record(record(file)?.['metadata']);
  if (!chain || !metadata) refuse('Not a rule chain file: it has no ruleChain and metadata.');
  const { name, type = 'CORE' } = chain;
  if (typeof name !== 'string' || name.trim() === '') refuse('Rule chain name should be specified!');
  if (type !== 'CORE' && type !== 'EDGE') refuse('Invalid rule chain type');
  return {
    name,
    type,
    debugMode: chain['debugMode'] === true,
    configuration: chain['configuration'] ?? null,
    additionalInfo: chain['additionalInfo'] ?? null,
    metadata,
  };
}

const record = (value: unknown): Raw | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : null);

function list(value: unknown, key: string): unknown[] {
  if (value === null || value === undefined) return [];
  return Array.isArray(value) ? value : refuse(`${key} is not an array!`);
}

/** A whole number, or the text of one; null stays null. */
function index(value: unknown, length: number): number | null {
  if (value === null || value === undefined) return null;
  const place = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
  if (typeof place !== 'number' || !Number.isInteger(place) || place < 0 || place >= length)
    refuse(`Index ${String(value)} out of bounds for length ${length}`);
  return place;
}

function refuse(text: string): never {
  throw new ConfigError(text);
}

function refuseNode(name: string, text: string): never {
  refuse(`'${name}' node configuration is invalid: ${text}`);
}
