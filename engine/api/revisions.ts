import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityLabel } from '../entities.ts';
import { type Content, contentOf, type Difference, difference, findRevision, keepRevision, type Revision } from '../revisions.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import { commitChains, graphOf, saveChain } from './chain-docs.ts';
import type { ApiContext } from './context.ts';
import { ErrorCode, HttpError, notFound } from './errors.ts';
import { PAGE_QUERY, pageLink, pageOf } from './paging.ts';
import { commit } from './save.ts';
import { typed } from './schemas.ts';

const who = 'T';
const number = Type.String({ pattern: '^[1-9][0-9]{0,8}$' });
const Id = { id: Type.String() };

/** Earlier states of rule chains and converters: list, one, what changed between two, and back to one. The number of a revision is the `version` that the save gave. */
export default async function revisions(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const kinds = [
    { path: 'ruleChain', entityType: 'RULE_CHAIN', tags: ['Rule chains'], what: 'rule chain' },
    { path: 'converter', entityType: 'CONVERTER', tags: ['Converters'], what: 'converter' },
  ] as const;

  for (const { path, entityType, tags, what } of kinds) {
    const base = `/api/${path}/:id/revisions`;
    const listed = Type.Object(PAGE_QUERY);
    app.get(
      base,
      { config: { who }, schema: { tags, summary: `Revisions of a ${what}, newest first`, params: Type.Object(Id), querystring: listed } },
      async ({ caller, params, query }) => {
        const doc = await readable(context, caller, { entityType, id: params.id });
        const page = await store.docs('REVISION', doc.tenantId, { ...pageLink(query), ref: doc.id, order: 'DESC' });
        return pageOf(page, (revision) => summary(revision as unknown as Revision, doc.version));
      },
    );
    app.get(
      `${base}/:number`,
      { config: { who }, schema: { tags, summary: `A ${what} as it was`, params: Type.Object({ ...Id, number }) } },
      async ({ caller, params }) => {
        const doc = await readable(context, caller, { entityType, id: params.id });
        const revision = await revisionOf(doc, Number(params.number));
        return { ...summary(revision, doc.version), ...revision.body.content };
      },
    );
    app.get(
      `${base}/:from/diff/:to`,
      {
        config: { who },
        schema: { tags, summary: `What changed in a ${what} between two revisions`, params: Type.Object({ ...Id, from: number, to: number }) },
      },
      async ({ caller, params }) => {
        const doc = await readable(context, caller, { entityType, id: params.id });
        const [from, to] = [Number(params.from), Number(params.to)];
        const [before, after] = await Promise.all([revisionOf(doc, from), revisionOf(doc, to)]);
        return { from, to, ...difference(before.body.content, after.body.content) };
      },
    );
    app.post(
      `${base}/:number/restore`,
      {
        config: { who },
        schema: { tags, summary: `Makes a ${what} what it was; that is a new revision`, params: Type.Object({ ...Id, number }) },
      },
      async ({ caller, params }) => {
        const stored = await writable(context, caller, { entityType, id: params.id });
        const { content } = (await revisionOf(stored, Number(params.number))).body;
        const work = new Work();
        const save = { author: caller, now: context.now(), expects: stored.version };
        if (entityType === 'RULE_CHAIN') {
          await saveChain(work, store, { ...restored(stored, content), state: stored.state ?? null }, content.metadata!, save, stored);
          await commitChains(context, work, stored.tenantId);
        } else {
          const doc = restored(stored, content);
          work.docs.push({ doc, expects: stored.version });
          await keepRevision(work, store, stored, { content: contentOf(doc), before: contentOf(stored), ...save });
          await commit(context, work, 'CONVERTER', doc.uniqueKey);
        }
        return entityJson((await store.doc(entityType, stored.tenantId, stored.id))!);
      },
    );
  }

  async function revisionOf(doc: Doc, version: number): Promise<Revision> {
    const found = await findRevision(store, doc, version);
    if (!found) throw notFound(`${entityLabel(doc.collection)} '${doc.name}' has no revision ${version}`);
    return found;
  }
}

const summary = ({ createdTime, body: { version, author, content } }: Revision, current: number) => ({
  version,
  createdTime,
  author,
  name: content.name,
  current: version === current,
});

/** The name is unique among converters and goes back too. */
const restored = (stored: Doc, { name, type, fields }: Content): Doc => ({
  ...stored,
  name,
  kind: type,
  uniqueKey: stored.uniqueKey && `${stored.tenantId}/${name}`,
  body: { ...fields },
});

/** A save that is based on an old version is refused with what the others changed since. */
export async function checkBasis(context: ApiContext, stored: Doc, expects: number | undefined): Promise<void> {
  if (expects === undefined || expects === stored.version) return;
  const { store } = context.backend;
  const base = await findRevision(store, stored, expects);
  const metadata = stored.collection === 'RULE_CHAIN' ? (await graphOf(store, stored.tenantId, stored.id)).metadata : undefined;
  const differs: Difference | null = base && difference(base.body.content, contentOf(stored, metadata));
  throw new HttpError(409, ErrorCode.VERSION_CONFLICT, `${entityLabel(stored.collection)} was already changed by someone else`, {
    details: { currentVersion: stored.version, basedOn: expects, differs },
  });
}
