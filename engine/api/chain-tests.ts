import type { FastifyInstance } from 'fastify';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { parseDryText, readDryRequest } from '#engine/walk/dry/request.ts';
import { type DryMessage, type DryRunResult, dryRun, LIMITS } from '#engine/walk/dry-run.ts';
import { checkGraph, readChainFile } from '#engine/walk/graph.ts';
import { Busy } from '../errors.ts';
import { newId } from '../id.ts';
import type { EntityRef } from '../message.ts';
import type { Doc } from '../store.ts';
import { readable } from './access.ts';
import { textBodies } from './bodies.ts';
import { chainsOf, graphOf, newChain } from './chain-docs.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { requiredObject, requiredText } from './required.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';

type Json = Record<string, unknown>;
const config = { who: 'T' } as const;
const tags = ['Rule chains'];
/** Each of them may take a core for some seconds, and what is under way comes first. */
const MOST_AT_ONCE = 4;

interface Tested {
  readonly chain: Doc;
  readonly metadata: ChainMetadata;
}

/** Dry runs: messages walk through a chain, and what it would do is told instead of done. */
export default async function chainTests(plain: FastifyInstance, context: ApiContext): Promise<void> {
  textBodies(plain);
  const app = typed(plain);
  const { backend, nodes, scripts, control, serviceId } = context;
  const { store } = backend;
  let running = 0;

  app.post(
    '/api/ruleChain/:id/test',
    {
      config,
      schema: {
        tags,
        summary: 'Walks messages through a chain, or a changed graph of it (metadata), without doing anything',
        params: IdParams,
        body: AnyJson,
      },
    },
    async ({ caller, params, body }) => {
      const fields = requiredObject(parseDryText(requiredText(body)));
      const chain = await readable(context, caller, { entityType: 'RULE_CHAIN', id: params.id });
      const { metadata: saved } = await graphOf(store, chain.tenantId, chain.id);
      return answer(fields, caller.tenantId, async () => {
        if (!isGiven(fields['metadata'])) return { chain, metadata: saved };
        const ruleChain = fields['ruleChain'] ?? { name: chain.name, type: chain.kind };
        return { chain, metadata: await graph(chain, readChainFile({ ruleChain, metadata: fields['metadata'] }).metadata, saved) };
      });
    },
  );

  app.post(
    '/api/ruleChain/test',
    { config, schema: { tags, summary: 'The same with a chain that is not saved (ruleChain, metadata)', body: AnyJson } },
    async ({ caller, body }) => {
      const fields = requiredObject(parseDryText(requiredText(body)));
      return answer(fields, caller.tenantId, async () => {
        const file = readChainFile(fields);
        const chain = newChain(caller.tenantId, file, context.now());
        return { chain, metadata: await graph(chain, withoutIds(file.metadata as Json), null) };
      });
    },
  );

  async function graph(chain: Doc, metadata: unknown, current: ChainMetadata | null): Promise<ChainMetadata> {
    const now = context.now();
    const names = new Map((await chainsOf(store, chain.tenantId)).map(({ id, name }) => [id, name]));
    const chainName = (id: string) => names.get(id) ?? null;
    return checkGraph(metadata, { chainId: chain.id, nodes, current, chainName, newId: () => newId(now), now });
  }

  async function answer(fields: Json, tenantId: string, chainOf: () => Promise<Tested>): Promise<DryRunResult> {
    const { messages: read, answers, now } = readDryRequest(fields, LIMITS.messages);
    if (running >= MOST_AT_ONCE) throw new Busy(`${running} dry runs are under way already`);
    running++;
    try {
      const messages: DryMessage[] = [];
      const ids = new Map<string, string>();
      for (const { source, ...message } of read) messages.push({ ...message, originator: await originatorOf(source, tenantId, ids) });
      const downlinkTarget = control.integrations.downlinkTarget.bind(control.integrations);
      return await dryRun({ ...(await chainOf()), messages, answers, now }, { store, nodes, scripts, downlinkTarget, server: serviceId });
    } finally {
      running--;
    }
  }

  /** Without either it is the tenant. */
  async function originatorOf(
    { originator, deviceName }: { originator: EntityRef | null; deviceName: string | null },
    tenantId: string,
    ids: Map<string, string>,
  ): Promise<EntityRef> {
    if (originator) return originator;
    if (deviceName === null) return { entityType: 'TENANT', id: tenantId };
    const id = ids.get(deviceName) ?? (await store.docByName('DEVICE', tenantId, deviceName))?.id;
    if (id === undefined) throw badRequest(`There is no device named '${deviceName}'`);
    ids.set(deviceName, id);
    return { entityType: 'DEVICE', id };
  }
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

/** Of a file whose nodes are those of another chain. */
function withoutIds(metadata: Json): Json {
  const { nodes } = metadata;
  return Array.isArray(nodes)
    ? { ...metadata, nodes: nodes.map((node: Json) => (typeof node === 'object' && node !== null ? { ...node, id: null } : node)) }
    : metadata;
}
