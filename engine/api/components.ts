import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { AnyNode, NodeFamily } from '../node.ts';
import { componentFacts } from './component-facts.ts';
import type { ApiContext } from './context.ts';
import { badRequest, notFound } from './errors.ts';

const FAMILIES: readonly NodeFamily[] = ['ENRICHMENT', 'FILTER', 'TRANSFORMATION', 'ACTION', 'ANALYTICS', 'EXTERNAL', 'FLOW'];
const CALL_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode';
const OUTPUT_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainOutputNode';
/** Clients want a time; node types are as old as the program. */
const CREATED = 1_700_000_000_000;
const who = 'ST';
const tags = ['Rule nodes'];

/** The palette of the chain editor, straight from the registry of nodes (specs: rest-api §2.10). */
export default async function components(app: FastifyInstance, context: ApiContext): Promise<void> {
  const descriptors = new Map(context.nodes.all.map((node) => [node.type, { node, json: descriptor(node) }]));

  function list(families: readonly string[], query: unknown): unknown[] {
    for (const family of families) if (!(FAMILIES as readonly string[]).includes(family)) throw badRequest(`Unknown component type: ${family}`);
    const chainType = String((query as Record<string, unknown>)['ruleChainType'] ?? 'CORE');
    if (chainType !== 'CORE' && chainType !== 'EDGE') throw badRequest(`Unknown rule chain type: ${chainType}`);
    return [...descriptors.values()]
      .filter(({ node }) => families.includes(node.family) && (node.chainTypes ?? ['CORE', 'EDGE']).includes(chainType))
      .map(({ json }) => json);
  }

  app.get('/api/components', { config: { who }, schema: { tags, summary: 'Rule node types of some families' } }, async ({ query }) => {
    const { componentTypes } = query as Record<string, unknown>;
    if (componentTypes === undefined) throw badRequest("Required request parameter 'componentTypes' is not present");
    return list(
      [componentTypes].flat().flatMap((part) => String(part).split(',')),
      query,
    );
  });
  app.get<{ Params: { family: string } }>(
    '/api/components/:family',
    { config: { who }, schema: { tags, summary: 'Rule node types of a family' } },
    async ({ params, query }) => list([params.family], query),
  );
  app.get<{ Params: { clazz: string } }>(
    '/api/component/:clazz',
    { config: { who }, schema: { tags, summary: 'A rule node type' } },
    async ({ params }) => {
      const node = context.nodes.get(params.clazz);
      if (!node) throw notFound();
      return descriptors.get(node.type)!.json;
    },
  );
}

function descriptor(node: AnyNode): Record<string, unknown> {
  const isCall = node.type === CALL_NODE;
  return {
    id: { id: stableId(node.type) },
    createdTime: CREATED,
    type: node.family,
    scope: 'TENANT',
    clusteringMode: 'ENABLED',
    name: node.label,
    clazz: node.type,
    configurationVersion: node.version,
    actions: null,
    hasQueueName: node.usesQueueName ?? false,
    hasSecrets: false,
    configurationDescriptor: {
      nodeDefinition: {
        details: node.summary,
        description: node.summary,
        inEnabled: node.inputs ?? true,
        outEnabled: node.type !== OUTPUT_NODE,
        relationTypes: [...new Set([...(node.type === OUTPUT_NODE ? ['Success'] : node.relations), 'Failure'])].filter(
          (relation) => !node.unlisted?.includes(relation),
        ),
        customRelations: node.customRelations ?? false,
        ruleChainNode: isCall,
        // ThingsBoard's nodes without settings carry a version instead.
        defaultConfiguration: Object.keys(node.defaults).length > 0 ? node.defaults : { version: 0 },
        uiResources: [],
        ...componentFacts(node),
        iconUrl: '',
      },
    },
    configurationSchema: node.config,
  };
}

/** The same id after every start: clients keep descriptors by it. */
function stableId(type: string): string {
  const hex = createHash('sha1').update(`rule node ${type}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
