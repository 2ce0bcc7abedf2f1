import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { ApiContext } from '#engine/api/context.ts';
import { buildServer } from '#engine/api/server.ts';
import { openFileSegments } from '#engine/capture/files.ts';
import { createObservation } from '#engine/capture/observation.ts';
import type { Control } from '#engine/control.ts';
import { NotConnected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import { seed } from '#engine/seed.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { createWaiting } from '#engine/waiting.ts';
import { integrations } from '#integrations/index.ts';
import { nodes } from '#rulechains/index.ts';
import rootChain from '../../rulechains/chains/root.json' with { type: 'json' };

/** The API on a free port with the embedded backend and nobody alive behind it: no lanes are worked, no integration connects. */

export const TENANT = { username: 'tenant@thingsboard.org', password: 'tenant' };
export const SYSADMIN = { username: 'sysadmin@thingsboard.org', password: 'sysadmin' };

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape
  readonly body: any;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Raw body instead, with its content type. */
  readonly text?: string;
  readonly type?: string;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Api {
  readonly url: string;
  readonly app: FastifyInstance;
  readonly context: ApiContext;
  /** The tenant administrator's token. */
  readonly token: string;
  /** As the tenant's administrator unless `token` says otherwise (null: nobody). */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  login(credentials: { username: string; password: string }): Promise<string>;
  close(): Promise<void>;
}

const NOBODY: Control = {
  integrations: {
    status: () => null,
    check: async () => {
      throw new NotConnected('anything');
    },
    inbound: async () => {
      throw new NotConnected('anything');
    },
    requeueUplink: async () => {},
    downlinkTarget: () => null,
    statistics: () => [],
  },
  chains: { problems: () => new Map(), settled: async () => {} },
  devices: { activity() {}, connected() {}, disconnected() {}, observed: async () => {} },
};

export async function startApi(options: { folder?: string; port?: number; jwtKey?: Buffer; now?: () => number } = {}): Promise<Api> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'fieldbridge-api-')));
  const backend = await openSqliteBackend({ folder });
  await seed(backend, { tenantPassword: TENANT.password, sysadminPassword: SYSADMIN.password, rootChain, now: Date.now() });
  const scripts = openScriptEngine({ hosts: 1 });
  const now = options.now ?? Date.now;
  const log = { warn() {}, error() {} };
  const limits = { ringBytes: 1024 * 1024, tenantBytes: 64 * 1024 * 1024 };
  const observation = createObservation({
    segments: await openFileSegments({ folder: join(folder, 'capture'), ...limits, now, log }),
    ...{ cluster: backend.cluster, onChange: backend.onChange, ringBytes: limits.ringBytes, newId, now, log },
  });
  const context: ApiContext = {
    observation,
    outbox: { targets: () => [] },
    backend,
    scripts,
    nodes: new Registry(nodes),
    integrations: new Registry(integrations),
    control: NOBODY,
    waiting: createWaiting(),
    secrets: await openSecrets({ folder }),
    jwtKey: options.jwtKey ?? randomBytes(64),
    serviceId: 'test',
    baseUrl: 'http://127.0.0.1:8080',
    maxUplinkBytes: 10_000_000,
    rootChain,
    lanesWorked: () => true,
    now,
  };
  const app = await buildServer(context);
  const url = await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });

  const send = async (method: string, path: string, { body, text, type, token: as, headers }: CallOptions): Promise<Reply> => {
    const content = text ?? (body === undefined ? undefined : JSON.stringify(body));
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      body: content,
      headers: {
        ...(content === undefined ? {} : { 'Content-Type': type ?? 'application/json' }),
        ...(as ? { 'X-Authorization': `Bearer ${as}` } : {}),
        ...headers,
      },
    });
    const answer = await response.text();
    const json = response.headers.get('content-type')?.includes('json') && answer !== '';
    return { status: response.status, headers: response.headers, text: answer, body: json ? JSON.parse(answer) : null };
  };
  const login: Api['login'] = async (credentials) => {
    const answer = await send('POST', '/api/auth/login', { body: credentials });
    if (answer.status !== 200) throw new Error(`login: ${answer.status} ${answer.text}`);
    return answer.body.token;
  };
  const token = await login(TENANT);
  return {
    url,
    app,
    context,
    token,
    login,
    call: (method, path, call = {}) => send(method, path, { token, ...call }),
    async close() {
      await app.close();
      await scripts.close();
      await observation.close();
      await backend.close();
      if (!options.folder) await rm(folder, { recursive: true, force: true });
    },
  };
}
