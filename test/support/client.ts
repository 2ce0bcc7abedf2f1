import type { Answer } from './product.ts';

/** REST as a user of the product speaks it. */
export interface Client {
  /** One request with the tenant's login. @throws Error with status and body unless the status is 2xx. */
  call(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same, whatever the status. `token: null` sends no login. */
  request(
    method: string,
    path: string,
    body?: unknown,
    options?: { token?: string | null; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; text: string; json: Answer }>;
  login(user?: string, password?: string): Promise<string>;
  /** The login that requests are made with. */
  token: string;
}

export function clientOf(url: string): Client {
  const client: Client = {
    token: '',
    async request(method, path, body, { token: as, headers = {} } = {}) {
      const login = as === undefined ? client.token : as;
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(login ? { 'X-Authorization': `Bearer ${login}` } : {}),
          ...(body === undefined || 'content-type' in headers ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      });
      const text = await response.text();
      let json: unknown = null;
      try {
        json = JSON.parse(text);
      } catch {
        // an empty or plain answer
      }
      return { status: response.status, headers: response.headers, text, json };
    },
    async call(method, path, body) {
      const { status, text, json } = await client.request(method, path, body);
      if (status < 200 || status > 299) throw new Error(`${method} ${path} answered ${status}: ${text}`);
      return json;
    },
    async login(user = 'tenant@thingsboard.org', password = 'tenant') {
      const { status, text, json } = await client.request('POST', '/api/auth/login', { username: user, password }, { token: null });
      if (status !== 200) throw new Error(`login of ${user} answered ${status}: ${text}`);
      return (json as { token: string }).token;
    },
  };
  return client;
}
