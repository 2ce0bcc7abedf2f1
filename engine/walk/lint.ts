import { errorText } from '#engine/errors.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AnyNode, StartContext } from '#engine/node.ts';
import type { NodeRegistry } from '#engine/registry.ts';
import type { Script, ScriptEngine } from '#engine/script.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata, ChainNode } from './chain.ts';
import { checkGraph, readChainFile } from './graph.ts';
import { mapConfiguration } from './mapping.ts';

/** What is wrong with a chain file, or will surprise its owner. */
export interface Finding {
  /** An error: it can not be imported, or a node of it can not run. */
  readonly level: 'error' | 'warning';
  /** Name of the node; null: the whole file. */
  readonly node: string | null;
  readonly reason: string;
  /** In the script of the node, from 1. */
  readonly line?: number;
  readonly column?: number;
}

export interface LintOptions {
  readonly nodes: NodeRegistry;
  readonly scripts: Pick<ScriptEngine, 'check' | 'hints'>;
  /** Whether what a configuration names exists. null: nobody can say, which is a warning. */
  exists(entity: EntityRef): Promise<boolean | null>;
}

type Raw = Record<string, unknown>;
const OUTPUT_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainOutputNode';
const SWITCH_NODE = 'org.thingsboard.rule.engine.filter.TbMsgTypeSwitchNode';
const SAVE_ATTRIBUTES_NODE = 'org.thingsboard.rule.engine.telemetry.TbMsgAttributesNode';
const NO_ID = '00000000-0000-0000-0000-000000000000';

const error = (node: string | null, reason: string): Finding => ({ level: 'error', node, reason });
const warning = (node: string | null, reason: string): Finding => ({ level: 'warning', node, reason });

/** Looks at a whole chain file without running it; finds all that it can, not only the first. */
export async function lintChain(file: unknown, options: LintOptions): Promise<Finding[]> {
  let metadata: Raw;
  try {
    metadata = readChainFile(file).metadata as Raw;
  } catch (cause) {
    return [error(null, errorText(cause))];
  }
  const raw = Array.isArray(metadata['nodes']) ? metadata['nodes'] : [];
  const nodes = raw.map((node) => checkedAlone(node, options.nodes));
  const findings: Finding[] = [];
  for (const node of nodes) findings.push(...('reason' in node ? [node] : await lintNode(node, options)));
  const graph = arrows(metadata, raw.length);
  if ('reason' in graph) return [...findings, graph];
  // Links of old files become nodes behind the others.
  const known = graph.nodes.map((_, index) => nodes[index]).map((node) => (node && !('reason' in node) ? node : null));
  return [...findings, ...lintArrows(graph, known, raw.length, options.nodes)];
}

const graphOptions = (nodes: NodeRegistry) => ({ chainId: NO_ID, nodes, current: null, chainName: () => null, newId: () => NO_ID, now: 0 });

function checkedAlone(node: unknown, nodes: NodeRegistry): ChainNode | Finding {
  const { id: _, ...rest } = (typeof node === 'object' && node !== null ? node : {}) as Raw;
  try {
    return checkGraph({ nodes: [rest], connections: [] }, graphOptions(nodes)).nodes[0]!;
  } catch (cause) {
    return error(typeof rest['name'] === 'string' ? rest['name'] : null, errorText(cause));
  }
}

/** Only how the nodes hang together, whatever they are. */
function arrows({ firstNodeIndex, connections, ruleChainConnections }: Raw, count: number): ChainMetadata | Finding {
  const nodes = Array.from({ length: count }, () => ({ type: 'any', name: null, configuration: {} }));
  try {
    return checkGraph({ firstNodeIndex, connections, ruleChainConnections, nodes }, graphOptions({ get: () => undefined, list: () => [] } as never));
  } catch (cause) {
    return error(null, errorText(cause));
  }
}

async function lintNode(node: ChainNode, options: LintOptions): Promise<Finding[]> {
  const definition = options.nodes.get(node.type);
  if (!definition) return [error(node.name, `Unknown node type '${node.type}': it is kept, and messages that reach it fail`)];
  let config: unknown;
  try {
    config = mapConfiguration(definition, node.configuration);
  } catch (cause) {
    const unknown = unknownKeys(definition, node.configuration);
    return unknown.length > 0
      ? unknown.map((key) => error(node.name, `Unknown key '${key}' in its configuration: the node does not start`))
      : [error(node.name, errorText(cause))];
  }
  return start(node, definition, config, options);
}

function unknownKeys(definition: AnyNode, configuration: unknown): string[] {
  if (typeof configuration !== 'object' || configuration === null || Array.isArray(configuration)) return [];
  const properties = (definition.config as unknown as { properties?: Raw }).properties ?? {};
  return Object.keys(configuration).filter((key) => !Object.hasOwn(properties, key));
}

/** As the server starts it; without one, what it asks for is taken to exist. */
async function start(node: ChainNode, definition: AnyNode, config: unknown, { scripts, exists }: LintOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  const asked = new Map<string, EntityRef>();
  const checked: Script[] = [];
  const ask = (entity: EntityRef): void => void asked.set(entity.id, entity);
  const context: StartContext<unknown> = {
    config,
    node: { id: NO_ID, name: node.name, chainId: NO_ID, chainName: '', tenantId: NO_ID, queueName: node.queueName, serviceId: '' },
    scripts: {
      check(script) {
        checked.push(script);
        return scripts.check(script);
      },
    },
    chains: {
      exists(id) {
        ask({ entityType: 'RULE_CHAIN', id });
        return true;
      },
      defaultOf: async () => null,
    },
    entities: {
      async find(entity) {
        ask(entity);
        return { collection: entity.entityType, id: entity.id, tenantId: NO_ID, createdTime: 0, version: 1, name: '', body: {} } as Doc;
      },
    },
    every: () => {},
  };
  try {
    const state = await definition.start?.(context as never);
    definition.stop?.(state);
  } catch (cause) {
    findings.push(error(node.name, errorText(cause)));
  }
  for (const script of checked) {
    for (const { line, column, message } of scripts.hints(script))
      findings.push({ ...warning(node.name, `script line ${line}, column ${column}: ${message}`), line, column });
  }
  for (const entity of asked.values()) {
    const what = `${entity.entityType} ${entity.id}`;
    const found = await exists(entity);
    if (found === null) findings.push(warning(node.name, `${what} was not looked for: give --url to look on a server`));
    else if (!found) findings.push(error(node.name, `${what} does not exist: the node does not start`));
  }
  return findings;
}

function lintArrows(graph: ChainMetadata, nodes: readonly (ChainNode | null)[], count: number, registry: NodeRegistry): Finding[] {
  const findings: Finding[] = [];
  const definitions = nodes.map((node) => (node ? registry.get(node.type) : undefined));
  const sources = definitions.flatMap((definition, index) => (definition?.inputs === false ? [index] : []));
  if (graph.firstNodeIndex === null && sources.length === 0) findings.push(warning(null, 'It has no first node: nothing enters it'));
  const reached = reachable(graph, graph.firstNodeIndex === null ? sources : [graph.firstNodeIndex, ...sources]);
  for (let index = 0; index < count; index++) {
    const node = nodes[index];
    const definition = definitions[index];
    if (!node) continue;
    if (!reached.has(index)) findings.push(warning(node.name, 'No arrow leads to it: it never gets a message'));
    if (!definition || node.type === OUTPUT_NODE) continue;
    const labels = graph.connections.filter(({ fromIndex }) => fromIndex === index).map(({ type }) => type);
    findings.push(...deadLabels(node, definition, labels));
    if (!labels.some((label) => label.toLowerCase() === 'failure')) {
      findings.push(warning(node.name, 'Failure leads nowhere: what fails here is a dead letter, or is tried again if its queue says so'));
    }
  }
  return [...findings, ...loops(graph, nodes)];
}

function reachable({ connections }: ChainMetadata, from: readonly number[]): Set<number> {
  const reached = new Set(from);
  for (const index of reached) for (const { fromIndex, toIndex } of connections) if (fromIndex === index) reached.add(toIndex);
  return reached;
}

function deadLabels(node: ChainNode, definition: AnyNode, labels: readonly string[]): Finding[] {
  if (definition.customRelations) return [];
  const emitted = [...definition.relations, ...(definition.unlisted ?? []), 'Failure'];
  const known = new Set(emitted.map((label) => label.toLowerCase()));
  return [...new Set(labels)]
    .filter((label) => !known.has(label.toLowerCase()))
    .map((label) => {
      const like = emitted.find((other) => other.toLowerCase().startsWith(label.toLowerCase()));
      return warning(node.name, `It never emits '${label}'${like ? `; today's name is '${like}'` : ''}`);
    });
}

/** Inside a chain there can be no cycle of arrows; this one goes through the event that saved attributes give. */
function loops(graph: ChainMetadata, nodes: readonly (ChainNode | null)[]): Finding[] {
  const findings: Finding[] = [];
  for (const { fromIndex, toIndex, type } of graph.connections) {
    if (nodes[fromIndex]?.type !== SWITCH_NODE || type.toLowerCase() !== 'attributes updated') continue;
    for (const index of reachable(graph, [toIndex])) {
      const node = nodes[index];
      const config = (node?.configuration ?? {}) as Raw;
      if (node?.type !== SAVE_ATTRIBUTES_NODE || config['sendAttributesUpdatedNotification'] !== true) continue;
      if (config['updateAttributesOnlyOnValueChange'] === true || config['scope'] === 'CLIENT_SCOPE') continue;
      findings.push(warning(node.name, "It sends 'Attributes Updated', which leads to it again: a loop without end unless something in it stops"));
    }
  }
  return findings;
}
