import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isPublic, randomText } from '../entities.ts';
import { VersionConflict } from '../errors.ts';
import { type EntityRef, NULL_ID } from '../message.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import type { ApiContext, Authority, Caller } from './context.ts';
import { ErrorCode, forbidden, unauthorized } from './errors.ts';

/** Who calls (specs: rest-api §1.5): tokens, API keys, sessions, and the hook that puts `request.caller` in front of every route that is not open. */

export interface TokenPair {
  readonly token: string;
  readonly refreshToken: string;
}

/** Body of USER_CREDENTIALS, whose uniqueKey and ref are the user's id. */
export interface UserCredentials {
  readonly enabled: boolean;
  readonly password: string | null;
  readonly activateToken: string | null;
  readonly activateTokenExpTime: number | null;
  readonly resetToken: string | null;
  readonly resetTokenExpTime: number | null;
  readonly lastLoginTs: number | null;
  readonly failedLoginAttempts: number;
  /** Tokens issued in a second before this are void, Unix s: password change, disabling. */
  readonly validFrom: number;
  /** Sessions that logged out → when their last token ends, Unix ms. */
  readonly endedSessions: Readonly<Record<string, number>>;
}

export interface Account {
  readonly user: Doc;
  readonly credentials: Doc<UserCredentials & Record<string, unknown>> | null;
}

interface AccessClaims {
  readonly sub: string;
  readonly userId: string;
  readonly scopes: readonly string[];
  readonly sessionId: string;
  readonly iat: number;
  readonly exp: number;
  readonly isPublic?: boolean;
}

export interface Tokens {
  /** A new pair: a new session. */
  pair(user: Doc): TokenPair;
  /** For whoever knows the id of a public customer. */
  publicPair(customer: Doc): TokenPair;
  /** @throws HttpError 401, or 400 for an access token. */
  refresh(refreshToken: string): Promise<TokenPair>;
  account(userId: string): Promise<Account | null>;
  /** Makes a change to what is stored now, durably. Two changes at the same time both happen: a login must not undo a logout. */
  changeCredentials(account: Account, change: (stored: UserCredentials) => Partial<UserCredentials>): Promise<void>;
  /** Seconds that a session's tokens live at most. */
  readonly sessionSeconds: number;
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens;
  }
}

export const ACCESS_SECONDS = 9000;
export const REFRESH_SECONDS = 604_800;
export const ISSUER = 'thingsboard.io';
const REFRESH = 'REFRESH_TOKEN';
const ALLOWED: Readonly<Record<string, readonly Authority[]>> = {
  S: ['SYS_ADMIN'],
  T: ['TENANT_ADMIN'],
  C: ['CUSTOMER_USER'],
  TC: ['TENANT_ADMIN', 'CUSTOMER_USER'],
  ST: ['SYS_ADMIN', 'TENANT_ADMIN'],
  STC: ['SYS_ADMIN', 'TENANT_ADMIN', 'CUSTOMER_USER'],
};

export const authorityOf = (user: Doc): Authority => user.body['authority'] as Authority;

export function createTokens(app: FastifyInstance, context: ApiContext): Tokens {
  const { store } = context.backend;
  const accounts = new Map<string, Account>();
  const userOf = new Map<string, string>();
  let generation = 0;
  // Every call needs its user: kept until the user or the credentials change.
  context.backend.onChange((changes) => {
    for (const { collection, id } of changes) {
      if (collection !== 'USER' && collection !== 'USER_CREDENTIALS') continue;
      generation++;
      accounts.delete(collection === 'USER' ? id : (userOf.get(id) ?? ''));
    }
  });

  const sign = (common: Record<string, unknown>, access: Record<string, unknown>): TokenPair => {
    const iat = Math.floor(context.now() / 1000);
    const session = { ...common, sessionId: randomUUID(), iss: ISSUER, iat };
    return {
      token: app.jwt.sign({ ...session, ...access, exp: iat + ACCESS_SECONDS }),
      refreshToken: app.jwt.sign({ ...session, scopes: [REFRESH], exp: iat + REFRESH_SECONDS, jti: randomUUID() }),
    };
  };

  const tokens: Tokens = {
    sessionSeconds: REFRESH_SECONDS,
    pair: (user) =>
      sign(
        { sub: user.name, userId: user.id, isPublic: false },
        {
          scopes: [authorityOf(user)],
          firstName: user.body['firstName'] ?? undefined,
          lastName: user.body['lastName'] ?? undefined,
          enabled: true,
          tenantId: user.tenantId,
          customerId: user.customerId ?? NULL_ID,
        },
      ),
    publicPair: (customer) =>
      sign(
        { sub: customer.id, userId: NULL_ID, isPublic: true },
        { scopes: ['CUSTOMER_USER'], firstName: 'Public', lastName: 'Public', enabled: true, tenantId: customer.tenantId, customerId: customer.id },
      ),
    async refresh(refreshToken) {
      const claims = verify(app, refreshToken);
      if (!claims.scopes.includes(REFRESH)) throw unauthorized('Invalid Refresh Token scope');
      if (claims.isPublic) return tokens.publicPair(await publicOwner(context, claims.sub));
      const account = await tokens.account(claims.userId);
      if (!account) throw unauthorized('User not found by refresh token');
      if (!account.credentials?.body.enabled) throw unauthorized('User account is not active');
      if (outdated(account, claims)) throw unauthorized('Token is outdated');
      return tokens.pair(account.user);
    },
    async account(userId) {
      const known = accounts.get(userId);
      if (known) return known;
      const before = generation;
      const tenantId = await store.ownerOf('USER', userId);
      const user = tenantId === null ? null : await store.doc('USER', tenantId, userId);
      if (!user) return null;
      const credentials = (await store.docByKey('USER_CREDENTIALS', userId)) as Account['credentials'];
      const account = { user, credentials };
      if (credentials) userOf.set(credentials.id, userId);
      if (accounts.size >= 10_000) accounts.clear();
      // What changed while it was read must not be kept: a logout would be forgotten.
      if (before === generation) accounts.set(userId, account);
      return account;
    },
    async changeCredentials({ user }, change) {
      for (;;) {
        const stored = (await store.docByKey('USER_CREDENTIALS', user.id)) as Account['credentials'];
        if (!stored) throw unauthorized('User account is not active');
        const body = { ...stored.body, ...change(stored.body) };
        const now = context.now();
        const endedSessions = Object.fromEntries(Object.entries(body.endedSessions).filter(([, end]) => end > now));
        const work = new Work();
        work.docs.push({ doc: { ...stored, body: { ...body, endedSessions } }, expects: stored.version });
        try {
          await context.backend.commit(work);
          accounts.delete(user.id);
          return;
        } catch (error) {
          if (!(error instanceof VersionConflict)) throw error;
        }
      }
    },
  };
  return tokens;
}

/** @throws HttpError 401/11 for a bad signature and an expired token alike, 401/10 for what is no token. */
function verify(app: FastifyInstance, token: string): AccessClaims {
  if (token.split('.').length !== 3) throw unauthorized('Invalid username or password');
  try {
    return app.jwt.verify<AccessClaims>(token);
  } catch {
    throw unauthorized('Token has expired', ErrorCode.JWT_TOKEN_EXPIRED);
  }
}

const outdated = ({ credentials }: Account, { sessionId, iat }: AccessClaims): boolean =>
  credentials !== null && (iat < credentials.body.validFrom || sessionId in credentials.body.endedSessions);

function callerOf({ user }: Account, sessionId: string): Caller {
  return {
    userId: user.id,
    email: user.name,
    firstName: (user.body['firstName'] as string | null | undefined) ?? null,
    lastName: (user.body['lastName'] as string | null | undefined) ?? null,
    authority: authorityOf(user),
    tenantId: user.tenantId,
    customerId: user.customerId ?? NULL_ID,
    sessionId,
    ref: { entityType: 'USER', id: user.id } satisfies EntityRef,
  };
}

/** The customer behind a public token, as long as it is public. */
async function publicOwner({ backend }: ApiContext, customerId: string): Promise<Doc> {
  const owner = await backend.store.ownerOf('CUSTOMER', customerId);
  const customer = owner === null ? null : await backend.store.doc('CUSTOMER', owner, customerId);
  if (!customer || !isPublic(customer)) throw unauthorized('Token has expired', ErrorCode.JWT_TOKEN_EXPIRED);
  return customer;
}

async function byToken(app: FastifyInstance, context: ApiContext, token: string): Promise<Caller> {
  const claims = verify(app, token);
  if (claims.scopes.includes(REFRESH)) throw unauthorized('A refresh token is no access token');
  if (claims.isPublic) {
    const { id, tenantId } = await publicOwner(context, claims.sub);
    const names = { email: id, firstName: 'Public', lastName: 'Public' };
    const ref: EntityRef = { entityType: 'USER', id: NULL_ID };
    return { ...names, userId: NULL_ID, authority: 'CUSTOMER_USER', tenantId, customerId: id, sessionId: claims.sessionId, ref };
  }
  const account = await app.tokens.account(claims.userId);
  if (!account?.credentials?.body.enabled || outdated(account, claims)) throw unauthorized('Token has expired', ErrorCode.JWT_TOKEN_EXPIRED);
  return callerOf(account, claims.sessionId);
}

async function byApiKey(app: FastifyInstance, context: ApiContext, value: string): Promise<Caller> {
  const key = await context.backend.store.docByKey('API_KEY', value);
  if (!key) throw unauthorized('Invalid username or password');
  if (key.body['enabled'] !== true) throw unauthorized('API key is disabled');
  const expires = Number(key.body['expirationTime'] ?? 0);
  if (expires > 0 && expires < context.now()) throw unauthorized('API key is expired');
  const account = await app.tokens.account(key.ref ?? '');
  if (!account?.credentials?.body.enabled) throw unauthorized('User account is not active');
  return callerOf(account, key.id);
}

/** @throws HttpError 401. */
export async function authenticate(app: FastifyInstance, context: ApiContext, request: FastifyRequest): Promise<Caller> {
  const header = request.headers['x-authorization'] ?? request.headers.authorization;
  if (typeof header !== 'string') throw unauthorized();
  if (header.startsWith('Bearer ')) return byToken(app, context, header.slice(7).trim());
  if (header.startsWith('ApiKey ')) return byApiKey(app, context, header.slice(7).trim());
  throw unauthorized();
}

/** Sets `request.caller` and refuses who may not call the route; routes are for tenant and customer users unless they say otherwise. */
export function guard(app: FastifyInstance, context: ApiContext): void {
  app.decorateRequest('caller', null as unknown as Caller);
  app.addHook('onRequest', async (request) => {
    const { who = 'TC' } = request.routeOptions.config;
    if (who === 'open' || (request.is404 && !request.url.startsWith('/api/'))) return;
    request.caller = await authenticate(app, context, request);
  });
  // Behind the validation: what makes no sense is refused as such, whoever sends it (recorded: cases/rest errors).
  app.addHook('preHandler', (request, _reply, done) => {
    const { who = 'TC' } = request.routeOptions.config;
    done(who === 'open' || request.is404 || ALLOWED[who]!.includes(request.caller.authority) ? undefined : forbidden());
  });
}

/** A token for one use, in a link. It begins with the id of the credentials it is kept in, so that it is found without a search. */
export const newOneTimeToken = (credentialsId: string): string => credentialsId.replaceAll('-', '') + randomText(30);

/** The account whose credentials hold this token, while it lasts. */
export async function credentialsFromToken(
  app: FastifyInstance,
  context: ApiContext,
  field: 'activateToken' | 'resetToken',
  token: string,
): Promise<Account | null> {
  const match = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})[A-Za-z0-9]{30}$/.exec(token);
  if (!match) return null;
  const id = match.slice(1).join('-');
  const tenantId = await context.backend.store.ownerOf('USER_CREDENTIALS', id);
  const credentials = tenantId === null ? null : await context.backend.store.doc('USER_CREDENTIALS', tenantId, id);
  if (credentials?.body[field] !== token || Number(credentials.body[`${field}ExpTime`]) < context.now()) return null;
  return app.tokens.account(credentials.ref!);
}
