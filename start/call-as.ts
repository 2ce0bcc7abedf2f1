import type { FastifyInstance } from 'fastify';
import type { Store } from '#engine/store.ts';
import type { Call } from '../demo/install.ts';

/** REST calls inside the process as a user, whatever the password is by now. Null: there is no such user any more. */
export async function callAs(app: FastifyInstance, store: Store, email: string): Promise<Call | null> {
  const user = await store.docByKey('USER', email);
  if (!user) return null;
  const headers = { 'x-authorization': `Bearer ${app.tokens.pair(user).token}` };
  return async (method, url, body) => {
    const response = await app.inject({ method, url, headers, payload: body as object | undefined });
    if (response.statusCode !== 200) throw new Error(`${method} ${url} answered ${response.statusCode}: ${response.body}`);
    return response.body === '' ? null : response.json();
  };
}
