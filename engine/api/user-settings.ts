import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { newDoc } from '../entities.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable } from './access.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';

/** What a user interface keeps for its user (specs: rest-api §2.1): stored, not understood. */

const TYPES = ['GENERAL', 'QUICK_LINKS', 'DOC_LINKS', 'DASHBOARDS', 'GETTING_STARTED', 'NOTIFICATIONS', 'MOBILE', 'VISITED_DASHBOARDS'];
const STC = { who: 'STC' as const };
type Settings = Record<string, unknown>;

function settingsType(text: string): string {
  const type = text.toUpperCase();
  if (!TYPES.includes(type)) throw badRequest(`Settings type "${text}" is not supported!`);
  return type;
}

const keyOf = (caller: Caller, type: string): string => `${caller.userId}/${type}`;

async function read({ backend }: ApiContext, caller: Caller, type: string): Promise<Settings> {
  return (await backend.store.docByKey('USER_SETTINGS', keyOf(caller, type)))?.body ?? {};
}

async function write(context: ApiContext, caller: Caller, type: string, body: Settings): Promise<void> {
  const known = await context.backend.store.docByKey('USER_SETTINGS', keyOf(caller, type));
  const made = newDoc(
    { collection: 'USER_SETTINGS', tenantId: caller.tenantId, name: type, kind: type, ref: caller.userId, uniqueKey: keyOf(caller, type), body },
    context.now(),
  );
  const doc: Doc = known ? { ...known, body } : made;
  const work = new Work();
  work.docs.push({ doc });
  await context.backend.commit(work);
}

const isObject = (value: unknown): value is Settings => typeof value === 'object' && value !== null && !Array.isArray(value);
const asSettings = (value: unknown): Settings => {
  if (!isObject(value)) throw badRequest('Settings are a JSON object');
  return value;
};

/** `a.b` out of nested objects. */
function without(settings: Settings, path: string): Settings {
  const [head = '', ...rest] = path.split('.');
  if (!Object.hasOwn(settings, head)) return settings;
  const { [head]: value, ...others } = settings;
  return rest.length > 0 && isObject(value) ? { ...settings, [head]: without(value, rest.join('.')) } : others;
}

export default async function userSettings(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['User settings'];
  const ByType = Type.Object({ type: Type.String() });

  app.get('/api/user/settings/:type', { config: STC, schema: { tags, params: ByType } }, async ({ params, caller }) =>
    read(context, caller, settingsType(params.type)),
  );
  app.get('/api/user/settings', { config: STC, schema: { tags } }, async ({ caller }) => read(context, caller, 'GENERAL'));
  app.post('/api/user/settings', { config: STC, schema: { tags, body: AnyJson } }, async ({ body, caller }) => {
    await write(context, caller, 'GENERAL', asSettings(body));
    return body;
  });
  const merge = async (caller: Caller, type: string, body: unknown) =>
    write(context, caller, type, { ...(await read(context, caller, type)), ...asSettings(body) });
  app.put('/api/user/settings', { config: STC, schema: { tags, body: AnyJson } }, async ({ body, caller }, reply) => {
    await merge(caller, 'GENERAL', body);
    return reply.send();
  });
  app.put('/api/user/settings/:type', { config: STC, schema: { tags, params: ByType, body: AnyJson } }, async ({ params, body, caller }, reply) => {
    await merge(caller, settingsType(params.type), body);
    return reply.send();
  });
  const drop = async (caller: Caller, type: string, paths: string) =>
    write(context, caller, type, paths.split(',').reduce(without, await read(context, caller, type)));
  app.delete(
    '/api/user/settings/:paths',
    { config: STC, schema: { tags, params: Type.Object({ paths: Type.String() }) } },
    async ({ params, caller }, reply) => {
      await drop(caller, 'GENERAL', params.paths);
      return reply.send();
    },
  );
  app.delete(
    '/api/user/settings/:type/:paths',
    { config: STC, schema: { tags, params: Type.Object({ type: Type.String(), paths: Type.String() }) } },
    async ({ params, caller }, reply) => {
      await drop(caller, settingsType(params.type), params.paths);
      return reply.send();
    },
  );

  app.get('/api/user/lastVisitedDashboards', { schema: { tags } }, async ({ caller }) => visited(await read(context, caller, 'VISITED_DASHBOARDS')));
  for (const action of ['visit', 'star', 'unstar'] as const) {
    app.get(`/api/user/dashboards/:id/${action}`, { schema: { tags, params: IdParams } }, async ({ params, caller }) => {
      const dashboard = await readable(context, caller, { entityType: 'DASHBOARD', id: params.id });
      const settings = await read(context, caller, 'VISITED_DASHBOARDS');
      const known = (settings[dashboard.id] ?? {}) as Visit;
      const change = action === 'visit' ? { lastVisited: context.now() } : { starredAt: action === 'star' ? context.now() : null };
      const next = { ...settings, [dashboard.id]: { ...known, title: dashboard.name, ...change } };
      await write(context, caller, 'VISITED_DASHBOARDS', next);
      return visited(next);
    });
  }
}

interface Visit {
  readonly title: string;
  readonly lastVisited?: number | null;
  readonly starredAt?: number | null;
}

function visited(settings: Settings) {
  const all = Object.entries(settings).map(([id, visit]) => ({ id, ...(visit as Visit) }));
  const last = all.filter((visit) => visit.lastVisited).sort((a, b) => b.lastVisited! - a.lastVisited!);
  const starred = all.filter((visit) => visit.starredAt).sort((a, b) => b.starredAt! - a.starredAt!);
  return {
    last: last.slice(0, 10).map(({ id, title, lastVisited, starredAt }) => ({ id, title, starred: Boolean(starredAt), lastVisited })),
    starred: starred.map(({ id, title, starredAt }) => ({ id, title, starredAt })),
  };
}
