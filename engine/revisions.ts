import { newDoc } from './entities.ts';
import type { Doc, Store } from './store.ts';
import type { ChainMetadata, ChainNode } from './walk/chain.ts';
import type { Work } from './work.ts';

/** Every save of a rule chain or a converter is kept as it was: what there was, what changed, and the way back. */

/** A chain's or a converter's own fields, as saved. */
export interface Content {
  readonly name: string;
  /** CORE, EDGE; UPLINK, DOWNLINK. */
  readonly type: string | null;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The graph of a chain. */
  readonly metadata?: ChainMetadata;
}

export interface Author {
  readonly userId: string;
  readonly email: string;
}

interface RevisionBody {
  readonly version: number;
  readonly author: { readonly id: string; readonly name: string } | null;
  readonly content: Content;
}
export type Revision = Doc & { readonly body: RevisionBody };

export function contentOf({ name, kind, body }: Doc, metadata?: ChainMetadata): Content {
  return { name, type: kind ?? null, fields: body, ...(metadata && { metadata }) };
}

/**
 * Puts the state that a save makes into its unit of work, with the version that the entity gets by it.
 * @param before what is stored, when it is a change: kept too where no save of it was (it is older than revisions).
 */
export async function keepRevision(
  work: Work,
  store: Pick<Store, 'docs'>,
  entity: Doc,
  { content, before, author, now }: { content: Content; before: Content | null; author: Author | null; now: number },
): Promise<void> {
  if (before && !(await findRevision(store, entity, entity.version))) work.docs.push({ doc: revision(entity, entity.version, before, null, now) });
  work.docs.push({ doc: revision(entity, before ? entity.version + 1 : 1, content, author, now) });
}

function revision({ collection, tenantId, id }: Doc, version: number, content: Content, author: Author | null, now: number): Doc {
  const body: RevisionBody = { version, author: author && { id: author.userId, name: author.email }, content };
  return newDoc(
    { collection: 'REVISION', tenantId, name: content.name, kind: collection, ref: id, state: String(version), body: body as unknown as Doc['body'] },
    now,
  );
}

/** Two saves of one moment without a version have one number; the later won. */
export async function findRevision(store: Pick<Store, 'docs'>, { tenantId, id }: Doc, version: number): Promise<Revision | null> {
  const { data } = await store.docs('REVISION', tenantId, { ref: id, states: [String(version)], order: 'DESC', pageSize: 1 });
  return (data[0] as unknown as Revision | undefined) ?? null;
}

export async function removeRevisions(work: Work, store: Pick<Store, 'docs'>, { tenantId, id }: Doc): Promise<void> {
  for (let page = 0; ; page++) {
    const { data, hasNext } = await store.docs('REVISION', tenantId, { ref: id, page });
    for (const doc of data) work.docs.push({ remove: { collection: 'REVISION', tenantId, id: doc.id } });
    if (!hasNext) return;
  }
}

export interface FieldChange {
  /** Dotted, as in `configuration.scriptLang`. */
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
}
interface NodeName {
  readonly id: string;
  readonly name: string;
  readonly type: string;
}
interface ConnectionName {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}
export interface Difference {
  readonly fields: readonly FieldChange[];
  readonly nodes?: {
    readonly added: readonly NodeName[];
    readonly removed: readonly NodeName[];
    readonly changed: readonly (NodeName & { readonly fields: readonly FieldChange[] })[];
  };
  /** By the names of the nodes they join. */
  readonly connections?: { readonly added: readonly ConnectionName[]; readonly removed: readonly ConnectionName[] };
}

/** Set by the server on every save, or without meaning for what the thing does. */
const UNTOLD = new Set(['firstRuleNodeId', 'debugSettings', 'createdTime', 'ruleChainId', 'externalId', 'id', 'version']);

export function difference(from: Content, to: Content): Difference {
  const own = ({ name, type, fields, metadata }: Content) => ({
    name,
    type,
    ...fields,
    ...(metadata && { firstNode: metadata.nodes[metadata.firstNodeIndex ?? -1]?.name ?? null, notes: metadata.notes ?? null }),
  });
  const fields = changes(own(from), own(to));
  if (!from.metadata || !to.metadata) return { fields };
  return { fields, nodes: nodeChanges(from.metadata, to.metadata), connections: connectionChanges(from.metadata, to.metadata) };
}

function changes(from: unknown, to: unknown, path = ''): FieldChange[] {
  if (isRecord(from) && isRecord(to)) {
    const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
    return [...keys].flatMap((key) => (path === '' && UNTOLD.has(key) ? [] : changes(from[key], to[key], path ? `${path}.${key}` : key)));
  }
  return JSON.stringify(from ?? null) === JSON.stringify(to ?? null) ? [] : [{ path, from: from ?? null, to: to ?? null }];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const named = ({ id, name, type }: ChainNode): NodeName => ({ id: id!.id, name, type });

function nodeChanges(from: ChainMetadata, to: ChainMetadata): NonNullable<Difference['nodes']> {
  const before = new Map(from.nodes.map((node) => [node.id!.id, node]));
  const after = new Map(to.nodes.map((node) => [node.id!.id, node]));
  return {
    added: to.nodes.filter((node) => !before.has(node.id!.id)).map(named),
    removed: from.nodes.filter((node) => !after.has(node.id!.id)).map(named),
    changed: to.nodes.flatMap((node) => {
      const fields = before.has(node.id!.id) ? changes(before.get(node.id!.id), node) : [];
      return fields.length > 0 ? [{ ...named(node), fields }] : [];
    }),
  };
}

function connectionChanges(from: ChainMetadata, to: ChainMetadata): NonNullable<Difference['connections']> {
  const listed = ({ nodes, connections }: ChainMetadata) =>
    new Map(
      connections.map(({ fromIndex, toIndex, type }) => {
        const [source, target] = [nodes[fromIndex]!, nodes[toIndex]!];
        return [`${source.id!.id} ${target.id!.id} ${type}`, { from: source.name, to: target.name, label: type }] as const;
      }),
    );
  const [before, after] = [listed(from), listed(to)];
  return {
    added: [...after].flatMap(([key, connection]) => (before.has(key) ? [] : [connection])),
    removed: [...before].flatMap(([key, connection]) => (after.has(key) ? [] : [connection])),
  };
}
