import type { FastifyInstance } from 'fastify';
import { entityJson, isPublic } from '../entities.ts';
import { hashPassword, passwordMatches } from '../passwords.ts';
import { readable } from './access.ts';
import { type Account, credentialsFromToken, newOneTimeToken, type TokenPair, type UserCredentials } from './auth.ts';
import { anyTextBodies } from './bodies.ts';
import type { ApiContext } from './context.ts';
import { badRequest, ErrorCode, sendError, unauthorized } from './errors.ts';
import { checkPassword, lockedAfter, PASSWORD_POLICY } from './password-policy.ts';

/** Login, refresh, logout, passwords, activation (specs: rest-api §1.5, §2.1). */

const OPEN = { who: 'open' as const };
const ANYONE = { who: 'STC' as const };

export default async function login(app: FastifyInstance, context: ApiContext): Promise<void> {
  // Clients send these bodies under any content type, and a broken one is a failed login like any other.
  anyTextBodies(app);
  const tags = ['Login'];
  const { store } = context.backend;

  app.post('/api/auth/login', { config: OPEN, schema: { tags, summary: 'User name and password for a pair of tokens' } }, async ({ body }) => {
    const { username, password } = fields(body);
    if (!username || !password) throw unauthorized();
    return signIn(app, context, username, password);
  });
  app.post('/api/auth/login/public', { config: OPEN, schema: { tags } }, async ({ body }) => {
    const { publicId } = fields(body);
    if (!publicId) throw unauthorized();
    const owner = await store.ownerOf('CUSTOMER', publicId);
    const customer = owner === null ? null : await store.doc('CUSTOMER', owner, publicId);
    if (!customer || !isPublic(customer)) throw unauthorized('Invalid username or password');
    return app.tokens.publicPair(customer);
  });
  app.post('/api/auth/token', { config: OPEN, schema: { tags, summary: 'A new pair for a refresh token' } }, async ({ body }) => {
    const { refreshToken } = fields(body);
    if (!refreshToken) throw unauthorized();
    return app.tokens.refresh(refreshToken);
  });
  for (const url of ['/api/auth/login', '/api/auth/token']) {
    app.get(url, { config: OPEN, schema: { hide: true } }, (_request, reply) =>
      sendError(reply, 401, ErrorCode.AUTHENTICATION, 'Authentication method not supported'),
    );
  }

  app.get('/api/auth/user', { config: ANYONE, schema: { tags, summary: 'Who I am' } }, async ({ caller }) =>
    entityJson(await readable(context, caller, caller.ref)),
  );
  app.post('/api/auth/logout', { config: ANYONE, schema: { tags } }, async ({ caller }, reply) => {
    const account = await app.tokens.account(caller.userId);
    if (account?.credentials) {
      const end = context.now() + app.tokens.sessionSeconds * 1000;
      await app.tokens.changeCredentials(account, ({ endedSessions }) => ({ endedSessions: { ...endedSessions, [caller.sessionId]: end } }));
    }
    return reply.send();
  });
  app.post('/api/auth/changePassword', { config: ANYONE, schema: { tags } }, async ({ body, caller }) => {
    const { currentPassword, newPassword } = fields(body);
    const account = await app.tokens.account(caller.userId);
    if (!account?.credentials || !(await passwordMatches(currentPassword ?? '', account.credentials.body.password))) {
      throw badRequest("Current password doesn't match!");
    }
    checkPassword(newPassword);
    if (newPassword === currentPassword) throw badRequest('New password should be different from existing!');
    return setPassword(app, context, account, newPassword!);
  });

  app.get('/api/noauth/userPasswordPolicy', { config: OPEN, schema: { tags } }, async () => PASSWORD_POLICY);
  app.get('/api/noauth/activate', { config: OPEN, schema: { tags } }, async ({ query }, reply) => {
    const { activateToken = '' } = query as { activateToken?: string };
    const account = await credentialsFromToken(app, context, 'activateToken', activateToken);
    if (!account) return reply.code(409).send();
    return reply
      .code(303)
      .header('Location', `/login/createPassword?activateToken=${encodeURIComponent(activateToken)}`)
      .send();
  });
  app.post('/api/noauth/activate', { config: OPEN, schema: { tags } }, async ({ body }) => {
    const { activateToken, password } = fields(body);
    const account = await credentialsFromToken(app, context, 'activateToken', activateToken ?? '');
    if (!account) throw badRequest(`Unable to find user credentials by activateToken [${activateToken ?? ''}]`);
    checkPassword(password);
    return setPassword(app, context, account, password!, { enabled: true, activateToken: null, activateTokenExpTime: null });
  });

  app.post('/api/noauth/resetPasswordByEmail', { config: OPEN, schema: { tags } }, async ({ body }, reply) => {
    const user = await store.docByKey('USER', fields(body).email ?? '');
    const account = user ? await app.tokens.account(user.id) : null;
    // The same answer for an address that we do not know, or the answer would tell.
    if (account?.credentials?.body.enabled) {
      const resetToken = newOneTimeToken(account.credentials.id);
      await app.tokens.changeCredentials(account, () => ({ resetToken, resetTokenExpTime: context.now() + 24 * 3_600_000 }));
    }
    return reply.send();
  });
  app.get('/api/noauth/resetPassword', { config: OPEN, schema: { tags } }, async ({ query }, reply) => {
    const { resetToken = '' } = query as { resetToken?: string };
    const account = await credentialsFromToken(app, context, 'resetToken', resetToken);
    if (!account) return reply.code(409).send();
    return reply
      .code(303)
      .header('Location', `/login/resetPassword?resetToken=${encodeURIComponent(resetToken)}`)
      .send();
  });
  app.post('/api/noauth/resetPassword', { config: OPEN, schema: { tags } }, async ({ body }, reply) => {
    const { resetToken, password } = fields(body);
    const account = await credentialsFromToken(app, context, 'resetToken', resetToken ?? '');
    if (!account) throw badRequest('Invalid reset token!');
    checkPassword(password);
    await setPassword(app, context, account, password!, { resetToken: null, resetTokenExpTime: null });
    return reply.send();
  });
}

type Fields = Readonly<Partial<Record<string, string>>>;

/** Text fields of a JSON body; empty for what is no JSON object. */
function fields(body: unknown): Fields {
  try {
    const value: unknown = JSON.parse(String(body ?? ''));
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(Object.entries(value).filter(([, field]) => typeof field === 'string'));
  } catch {
    return {};
  }
}

async function signIn(app: FastifyInstance, context: ApiContext, username: string, password: string): Promise<TokenPair> {
  const user = await context.backend.store.docByKey('USER', username);
  const account = user ? await app.tokens.account(user.id) : null;
  const credentials = account?.credentials?.body;
  if (!account || !credentials?.enabled) {
    await passwordMatches(password, null);
    if (account) throw unauthorized('User account is not active');
    throw unauthorized('Invalid username or password');
  }
  if (!(await passwordMatches(password, credentials.password))) {
    await countFailure(app, context, account);
    throw unauthorized('Invalid username or password');
  }
  await app.tokens.changeCredentials(account, () => ({ lastLoginTs: context.now(), failedLoginAttempts: 0 }));
  return app.tokens.pair(account.user);
}

async function countFailure(app: FastifyInstance, context: ApiContext, account: Account): Promise<void> {
  const most = await lockedAfter(context);
  if (most === null) return;
  let locked = false;
  await app.tokens.changeCredentials(account, (stored) => {
    const failedLoginAttempts = stored.failedLoginAttempts + 1;
    locked = failedLoginAttempts > most;
    return { failedLoginAttempts, ...(locked ? { enabled: false } : {}) };
  });
  if (locked) throw unauthorized('User account is locked due to security policy');
}

/** Sets it and voids the tokens of all seconds before this one. */
async function setPassword(
  app: FastifyInstance,
  context: ApiContext,
  account: Account,
  password: string,
  more: Partial<UserCredentials> = {},
): Promise<TokenPair> {
  const hash = await hashPassword(password);
  const validFrom = Math.floor(context.now() / 1000);
  await app.tokens.changeCredentials(account, () => ({ ...more, password: hash, validFrom, failedLoginAttempts: 0 }));
  return app.tokens.pair(account.user);
}
