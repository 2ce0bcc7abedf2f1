import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { entityJson, entityRef } from '../entities.ts';
import type { EntityRef } from '../message.ts';
import { newUser } from '../seed.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import { unassignAlarms } from './alarm-docs.ts';
import { type Account, newOneTimeToken } from './auth.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest, forbidden, notFound } from './errors.ts';
import { joinGroups } from './group-members.ts';
import { customerOfBody, everyDocOf, jsonPage, listByIds, listDocs, pageInMemory } from './lists.ts';
import { idList, PAGE_QUERY, pageLink, pageOf } from './paging.ts';
import { checkEmail, checkLimit, checkTexts, remove, removeDoc, save } from './save.ts';
import { AnyJson, Body, IdList, IdOf, IdParams, Maybe, typed, Uuid } from './schemas.ts';

/** Users of a tenant and of its customers (specs: rest-api §2.1). */

const UserBody = Body({
  id: Maybe(IdOf('USER')),
  email: Maybe(Type.String()),
  authority: Maybe(Type.Enum(['SYS_ADMIN', 'TENANT_ADMIN', 'CUSTOMER_USER'])),
  tenantId: Maybe(IdOf('TENANT')),
  customerId: Maybe(IdOf('CUSTOMER')),
  firstName: Maybe(Type.String()),
  lastName: Maybe(Type.String()),
  phone: Maybe(Type.String()),
  customMenuId: Type.Optional(AnyJson),
  additionalInfo: Type.Optional(AnyJson),
  version: Maybe(Type.Integer()),
});
type UserBody = Type.Static<typeof UserBody>;

const ACTIVATION_MS = 24 * 3_600_000;
const refOf = (id: string): EntityRef => ({ entityType: 'USER', id });

export default async function users(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { store } = context.backend;
  const tags = ['User'];
  const byId = { tags, params: IdParams };
  const ST = { who: 'ST' as const };
  const STC = { who: 'STC' as const };
  const page = Type.Object(PAGE_QUERY);

  const accountOf = async (caller: Caller, id: string): Promise<Account> => {
    const user = await userOf(context, caller, id);
    return { user, credentials: (await app.tokens.account(id))?.credentials ?? null };
  };
  const detailed = async (caller: Caller, id: string) => {
    const { user, credentials } = await accountOf(caller, id);
    const state = {
      userCredentialsEnabled: credentials?.body.enabled ?? false,
      userActivated: credentials?.body.password !== null && credentials !== null,
      lastLoginTs: credentials?.body.lastLoginTs ?? null,
    };
    return { ...entityJson(user), additionalInfo: { ...(user.body['additionalInfo'] as object | null), ...state } };
  };
  const own = (caller: Caller) => (caller.authority === 'CUSTOMER_USER' ? { customerId: caller.customerId } : {});
  const listUsers = async (caller: Caller, query: unknown, where = {}) =>
    jsonPage(await listDocs(context, 'USER', caller.tenantId, query, { ...own(caller), ...where }));

  app.post(
    '/api/user',
    {
      config: STC,
      schema: {
        tags,
        summary: 'Create or update a user',
        body: UserBody,
        querystring: Type.Object({
          sendActivationMail: Type.Optional(Type.Boolean()),
          entityGroupId: Type.Optional(Type.String()),
          entityGroupIds: Type.Optional(IdList),
        }),
      },
    },
    async ({ body, query, caller }) => entityJson(body.id ? await update(context, caller, body) : await create(context, caller, body, query)),
  );
  app.get('/api/user/:id', { config: STC, schema: byId }, async ({ params, caller }) => detailed(caller, params.id));
  app.get('/api/user/info/:id', { config: STC, schema: byId }, async ({ params, caller }) => detailed(caller, params.id));
  app.delete('/api/user/:id', { config: ST, schema: byId }, async ({ params, caller }, reply) => {
    const { user, credentials } = await accountOf(caller, params.id);
    if (user.body['authority'] !== 'CUSTOMER_USER') {
      const { totalElements } = await store.docs('USER', user.tenantId, { kind: user.kind ?? undefined, pageSize: 1 });
      if (totalElements < 2) throw badRequest('At least one tenant administrator must remain!');
    }
    const work = new Work();
    if (credentials) removeDoc(work, credentials);
    await unassignAlarms(work, context, caller, user);
    await remove({ context, caller, doc: user, work });
    return reply.send();
  });

  app.get('/api/user/:id/token', { config: ST, schema: { ...byId, summary: 'Become this user' } }, async ({ params, caller }) => {
    const { user, credentials } = await accountOf(caller, params.id);
    if (!credentials?.body.enabled) throw badRequest('User account is not active');
    return app.tokens.pair(user);
  });
  app.get('/api/user/tokenAccessEnabled', { config: STC, schema: { tags } }, async ({ caller }, reply) =>
    reply.type('application/json').send(JSON.stringify(caller.authority !== 'CUSTOMER_USER')),
  );

  /** The link, with a new token when the old one is over its time. */
  const activation = async (caller: Caller, id: string) => {
    const account = await accountOf(caller, id);
    const credentials = account.credentials;
    if (!credentials || credentials.body.password !== null) throw badRequest('User is already activated!');
    let { activateToken, activateTokenExpTime } = credentials.body;
    if (!activateToken || Number(activateTokenExpTime) < context.now()) {
      activateToken = newOneTimeToken(credentials.id);
      activateTokenExpTime = context.now() + ACTIVATION_MS;
      const link = { activateToken, activateTokenExpTime };
      await app.tokens.changeCredentials(account, () => link);
    }
    return { value: `${context.baseUrl}/api/noauth/activate?activateToken=${activateToken}`, ttlMs: Number(activateTokenExpTime) - context.now() };
  };
  app.get('/api/user/:id/activationLink', { config: ST, schema: byId }, async ({ params, caller }, reply) =>
    reply.type('text/plain;charset=UTF-8').send((await activation(caller, params.id)).value),
  );
  app.get('/api/user/:id/activationLinkInfo', { config: ST, schema: byId }, async ({ params, caller }) => activation(caller, params.id));
  app.post(
    '/api/user/sendActivationMail',
    { config: ST, schema: { tags, querystring: Type.Object({ email: Type.String() }) } },
    async ({ query, caller }) => {
      const user = await store.docByKey('USER', query.email);
      if (!user) throw notFound();
      await activation(caller, user.id);
      throw badRequest(NO_MAIL);
    },
  );
  app.post(
    '/api/user/:id/userCredentialsEnabled',
    { config: ST, schema: { ...byId, querystring: Type.Object({ userCredentialsEnabled: Type.Optional(Type.Boolean()) }) } },
    async ({ params, query, caller }, reply) => {
      const account = await accountOf(caller, params.id);
      const enabled = query.userCredentialsEnabled ?? true;
      if (enabled && account.credentials?.body.password === null) throw badRequest('Enabled user credentials should have password!');
      const voided = enabled ? {} : { validFrom: Math.floor(context.now() / 1000) };
      await app.tokens.changeCredentials(account, () => ({ enabled, failedLoginAttempts: 0, ...voided }));
      return reply.send();
    },
  );

  app.get(
    '/api/users',
    { schema: { tags, querystring: Type.Partial(Type.Object({ ...PAGE_QUERY, userIds: IdList })) } },
    async ({ query, caller }) =>
      query.userIds ? (await listByIds(context, caller, 'USER', idList(query, 'userIds'))).map(entityJson) : listUsers(caller, query),
  );
  app.get('/api/users/list', { schema: { tags, querystring: Type.Object({ userIds: IdList }) } }, async ({ query, caller }) =>
    (await listByIds(context, caller, 'USER', idList(query, 'userIds'))).map(entityJson),
  );
  app.get('/api/user/users', { schema: { tags, querystring: page } }, async ({ query, caller }) => listUsers(caller, query));
  app.get('/api/userInfos/all', { schema: { tags, querystring: page } }, async ({ query, caller }) => listUsers(caller, query));
  app.get('/api/customer/users', { schema: { tags, querystring: page } }, async ({ query, caller }) =>
    listUsers(caller, query, { kind: 'CUSTOMER_USER' }),
  );
  const emailInfo = (user: Doc) => ({
    id: entityRef(user),
    email: user.name,
    firstName: user.body['firstName'] ?? '',
    lastName: user.body['lastName'] ?? '',
  });
  app.get('/api/users/info', { schema: { tags, summary: 'Names of users', querystring: page } }, async ({ query, caller }) =>
    pageOf(await listDocs(context, 'USER', caller.tenantId, query, own(caller)), emailInfo),
  );
  const assignees = { tags, summary: 'Whom an alarm can be assigned to', params: Type.Object({ alarmId: Uuid }), querystring: page };
  app.get('/api/users/assign/:alarmId', { schema: assignees }, async ({ params, query, caller }) => {
    const { customerId } = await readable(context, caller, { entityType: 'ALARM', id: params.alarmId });
    const link = pageLink(query);
    const users = await everyDocOf(context, 'USER', caller.tenantId, own(caller));
    // Only those who may see it: the tenant's, and those of its customer.
    const allowed = users.filter((user) => user.kind === 'TENANT_ADMIN' || (customerId && user.customerId === customerId));
    return pageOf(pageInMemory(allowed, link), emailInfo);
  });
  for (const url of ['/api/customer/:id/users', '/api/customer/:id/userInfos']) {
    app.get(url, { schema: { ...byId, querystring: page } }, async ({ params, query, caller }) => {
      await readable(context, caller, { entityType: 'CUSTOMER', id: params.id });
      return listUsers(caller, query, { customerId: params.id });
    });
  }
  app.get('/api/tenant/:id/users', { config: { who: 'S' }, schema: { ...byId, querystring: page } }, async ({ params, query, caller }) => {
    await readable(context, caller, { entityType: 'TENANT', id: params.id });
    return jsonPage(await listDocs(context, 'USER', params.id, query, { kind: 'TENANT_ADMIN' }));
  });
}

const NO_MAIL = 'There is no mail server: use sendActivationMail=false and hand over the activation link';

/** A customer user sees itself and its colleagues. */
async function userOf(context: ApiContext, caller: Caller, id: string): Promise<Doc> {
  const user = await readable(context, caller, refOf(id));
  if (caller.authority === 'SYS_ADMIN' && user.body['authority'] === 'CUSTOMER_USER') throw forbidden();
  return user;
}

async function create(context: ApiContext, caller: Caller, body: UserBody, query: { sendActivationMail?: boolean }): Promise<Doc> {
  const { authority } = body;
  if (caller.authority === 'CUSTOMER_USER' || authority === 'SYS_ADMIN') throw forbidden();
  if (!body.email) throw badRequest('User email should be specified!');
  const email = checkEmail(body.email);
  if (!authority) throw badRequest("User authority isn't defined!");
  if (caller.authority === 'SYS_ADMIN' && authority !== 'TENANT_ADMIN') throw forbidden();
  checkTexts(body, ['firstName', 'lastName', 'phone']);
  const tenantId = caller.authority === 'SYS_ADMIN' ? (body.tenantId?.id ?? '') : caller.tenantId;
  if (!(await context.backend.store.doc('TENANT', tenantId, tenantId))) throw badRequest('User is referencing to non-existent tenant!');
  const customerId = await customerOfUser(context, tenantId, body);
  await refuseTakenEmail(context, email);
  if (query.sendActivationMail ?? true) throw badRequest(NO_MAIL);
  await checkLimit(context, tenantId, 'maxUsers', 'USER');

  const now = context.now();
  const { firstName, lastName, phone, additionalInfo } = body;
  const { user, credentials } = newUser({ tenantId, customerId, email, authority, firstName, lastName, phone, additionalInfo }, now);
  const link = { activateToken: newOneTimeToken(credentials.id), activateTokenExpTime: now + ACTIVATION_MS };
  const work = new Work();
  work.docs.push({ doc: { ...credentials, body: { ...credentials.body, ...link } }, expects: 0 });
  await joinGroups(context, caller, query, user, work);
  return save({ context, caller, doc: user, work });
}

async function update(context: ApiContext, caller: Caller, body: UserBody): Promise<Doc> {
  const stored = await writable(context, caller, refOf(body.id!.id));
  const authority = stored.body['authority'];
  if (caller.authority === 'CUSTOMER_USER' && stored.id !== caller.userId) throw forbidden();
  if (body.authority && body.authority !== authority) throw badRequest("User authority can't be changed!");
  if (!body.email) throw badRequest('User email should be specified!');
  const email = checkEmail(body.email);
  checkTexts(body, ['firstName', 'lastName', 'phone']);
  if (email !== stored.name) await refuseTakenEmail(context, email);
  const customerId =
    caller.authority === 'CUSTOMER_USER'
      ? stored.customerId
      : await customerOfUser(context, stored.tenantId, { ...body, authority: authority as UserBody['authority'] });
  const { userCredentialsEnabled: _e, userActivated: _a, lastLoginTs: _l, ...info } = (body.additionalInfo ?? {}) as Record<string, unknown>;
  const additionalInfo = body.additionalInfo ? info : null;
  const { firstName = null, lastName = null, phone = null } = body;
  const doc = { ...stored, name: email, uniqueKey: email, customerId, body: { ...stored.body, firstName, lastName, phone, additionalInfo } };
  return save({ context, caller, doc, stored, expects: body.version });
}

async function customerOfUser(context: ApiContext, tenantId: string, body: UserBody): Promise<string | null> {
  if (body.authority !== 'CUSTOMER_USER') return null;
  const customerId = customerOfBody(body);
  if (customerId === null) throw badRequest('Customer user should be assigned to customer!');
  if (!(await context.backend.store.doc('CUSTOMER', tenantId, customerId))) throw badRequest('User is referencing to non-existent customer!');
  return customerId;
}

async function refuseTakenEmail({ backend }: ApiContext, email: string): Promise<void> {
  if (await backend.store.docByKey('USER', email)) throw badRequest(`User with email '${email}' already present in database!`);
}
