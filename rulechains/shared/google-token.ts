import { createSign } from 'node:crypto';
import { ConfigError, errorText, Rejected } from '#engine/errors.ts';
import type { HttpClient } from './http.ts';

const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const TOKEN_URI = 'https://oauth2.googleapis.com/token';
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Access tokens of a service account (RFC 7523, as Google documents "OAuth 2.0 for server to server"): one is used until a minute before it ends.
 * @throws what the HTTP client throws, ConfigError for a key that is none.
 */
export function googleTokens(http: HttpClient): (serviceAccountKey: string, signal: AbortSignal) => Promise<string> {
  let known: { readonly key: string; readonly token: string; readonly until: number } | null = null;
  return async (serviceAccountKey, signal) => {
    if (known?.key === serviceAccountKey && known.until > Date.now()) return known.token;
    const { client_email: issuer, private_key: privateKey, token_uri: uri = TOKEN_URI } = readKey(serviceAccountKey);
    const now = Math.floor(Date.now() / 1000);
    const claims = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss: issuer, scope: SCOPE, aud: uri, iat: now, exp: now + 3600 })}`;
    const assertion = `${claims}.${signed(claims, privateKey)}`;
    const body = new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString();
    const answer = await http.request({ method: 'POST', url: uri, headers: [['Content-Type', 'application/x-www-form-urlencoded']], body, signal });
    if (answer.status !== 200) throw new Rejected(`Google gave no token: ${answer.status} ${answer.body.slice(0, 300)}`);
    const { access_token: token, expires_in: seconds } = JSON.parse(answer.body) as { access_token: string; expires_in: number };
    known = { key: serviceAccountKey, token, until: Date.now() + (seconds - 60) * 1000 };
    return token;
  };
}

function readKey(text: string): { client_email: string; private_key: string; token_uri?: string } {
  try {
    const key = JSON.parse(text);
    if (typeof key?.client_email === 'string' && typeof key.private_key === 'string') return key;
  } catch {
    // said below, without the text: it is a secret
  }
  throw new ConfigError('The service account key is not a key file of Google in JSON');
}

function signed(text: string, privateKey: string): string {
  try {
    return createSign('RSA-SHA256').update(text).sign(privateKey, 'base64url');
  } catch (cause) {
    throw new ConfigError(`The private key of the service account can not be used: ${errorText(cause)}`, { cause });
  }
}
