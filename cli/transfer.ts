import { readFile, writeFile } from 'node:fs/promises';
import { isUuid } from '#engine/id.ts';
import { type Answer, CliError, type Client, EXIT } from './client.ts';

async function readJson(file: string): Promise<Answer> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new CliError(`${file}: ${cause instanceof Error ? cause.message : cause}`, EXIT.usage);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError(`${file} is not JSON: ${cause instanceof Error ? cause.message : cause}`, EXIT.failed);
  }
}

async function byIdOrName(client: Client, what: string, single: string, list: string, idOrName: string): Promise<Answer> {
  if (isUuid(idOrName)) return client.get(`${single}/${idOrName}`);
  const found: Answer[] = [];
  for await (const entity of client.all(`${list}?textSearch=${encodeURIComponent(idOrName)}`)) if (entity.name === idOrName) found.push(entity);
  if (found.length === 1) return found[0];
  if (found.length === 0) throw new CliError(`There is no ${what} named "${idOrName}"`, EXIT.failed);
  throw new CliError(`${found.length} ${what}s are named "${idOrName}"; give the id: ${found.map(({ id }) => id.id).join(', ')}`, EXIT.failed);
}

async function write(out: string | undefined, value: unknown): Promise<void> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  if (out === undefined) process.stdout.write(text);
  else await writeFile(out, text);
}

export interface Imported {
  readonly id: string;
  readonly name: string;
  readonly problems: readonly { readonly node: string; readonly reason: string }[];
}

/** A rule chain file as the editor exports it, today's or the old format (specs: rule-nodes §1.3): always a new chain; root only when asked for. */
export async function importChain(client: Client, file: string, { root }: { root: boolean }): Promise<Imported> {
  const { ruleChain, metadata } = (await readJson(file)) ?? {};
  if (!ruleChain?.name || !metadata)
    throw new CliError(`${file} is no rule chain file: it has no "ruleChain" with a name and "metadata"`, EXIT.failed);
  const {
    id: _id,
    createdTime: _created,
    tenantId: _tenant,
    customerId: _customer,
    externalId: _external,
    version: _version,
    root: _root,
    firstRuleNodeId: _first,
    ...fields
  } = ruleChain;
  const chain = await client.post('/api/ruleChain', fields);
  let saved: Answer;
  try {
    saved = await client.post('/api/ruleChain/metadata', { ...metadata, version: undefined, ruleChainId: chain.id });
  } catch (cause) {
    // A refused graph must not leave an empty chain behind.
    await client.delete(`/api/ruleChain/${chain.id.id}`);
    throw cause;
  }
  const problems = await problemsOf(client, chain.tenantId.id, saved.nodes);
  if (root) await client.post(`/api/ruleChain/${chain.id.id}/root`);
  return { id: chain.id.id, name: chain.name, problems };
}

const AT_ONCE = 20;

/** Why nodes can not run: their newest lifecycle event says so. */
async function problemsOf(client: Client, tenantId: string, nodes: readonly Answer[]): Promise<Imported['problems']> {
  const problems: Imported['problems'][number][] = [];
  const newest = `LC_EVENT?tenantId=${tenantId}&pageSize=1&page=0&sortProperty=createdTime&sortOrder=DESC`;
  for (let at = 0; at < nodes.length; at += AT_ONCE) {
    const some = nodes.slice(at, at + AT_ONCE);
    const events = await Promise.all(some.map(({ id }) => client.get(`/api/events/RULE_NODE/${id.id}/${newest}`)));
    for (const [i, { data }] of events.entries()) {
      const [event] = data as Answer[];
      if (event?.body.success === false) problems.push({ node: some[i].name, reason: event.body.error });
    }
  }
  return problems;
}

export async function exportChain(client: Client, idOrName: string, out: string | undefined): Promise<void> {
  const chain = await byIdOrName(client, 'rule chain', '/api/ruleChain', '/api/ruleChains', idOrName);
  const metadata = await client.get(`/api/ruleChain/${chain.id.id}/metadata`);
  const { id: _id, createdTime: _created, tenantId: _tenant, customerId: _customer, externalId: _external, version: _version, ...ruleChain } = chain;
  const { ruleChainId: _chain, version: _metadataVersion, ...graph } = metadata;
  const nodes = (graph.nodes as Answer[]).map(({ id: _nodeId, createdTime: _c, ruleChainId: _r, externalId: _e, problem: _p, ...node }) => node);
  await write(out, { ruleChain: { ...ruleChain, firstRuleNodeId: null, root: false }, metadata: { ...graph, nodes } });
}

/** A converter file (specs: integrations §1.4), of any year. A name that is taken is refused by the server, never overwritten. */
export async function importConverter(client: Client, file: string): Promise<{ id: string; name: string }> {
  const content = (await readJson(file)) ?? {};
  const {
    id: _id,
    createdTime: _created,
    tenantId: _tenant,
    version: _version,
    externalId: _external,
    ...converter
  } = content.entityType === 'CONVERTER' ? (content.entity ?? {}) : content;
  if (!converter.name || !converter.type) throw new CliError(`${file} is no converter file: it has no "name" and "type"`, EXIT.failed);
  const saved = await client.post('/api/converter', converter);
  return { id: saved.id.id, name: saved.name };
}

export async function exportConverter(client: Client, idOrName: string, out: string | undefined): Promise<void> {
  const {
    id: _id,
    createdTime: _created,
    tenantId: _tenant,
    version: _version,
    ...converter
  } = await byIdOrName(client, 'converter', '/api/converter', '/api/converters', idOrName);
  await write(out, converter);
}
