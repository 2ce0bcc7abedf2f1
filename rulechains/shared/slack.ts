import { Busy, Refused, Rejected } from '#engine/errors.ts';
import type { HttpClient } from './http.ts';

/** `chat.postMessage` of Slack's Web API: an error is an answer with status 200 and `ok: false`. */

export const SLACK_URL = 'https://slack.com/api';
/** The token is no good: true of every message until it is replaced. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set([
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'missing_scope',
]);
const PASSING: ReadonlySet<string> = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
]);

/** @param channel id of a channel, or of a user for a direct message. @throws Busy, Refused, Rejected, and what the HTTP client throws */
export async function postMessage(
  http: HttpClient,
  { url = SLACK_URL, token, channel, text }: { url?: string; token: string; channel: string; text: string },
  signal: AbortSignal,
): Promise<void> {
  const answer = await http.request({
    method: 'POST',
    url: `${url}/chat.postMessage`,
    headers: [
      ['Authorization', `Bearer ${token.trim()}`],
      ['Content-Type', 'application/json; charset=utf-8'],
    ],
    body: JSON.stringify({ channel, text }),
    signal,
  });
  const reason = problemOf(answer.status, answer.body);
  if (reason === null) return;
  const message = `Failed to send message via Slack: ${reason}`;
  if (answer.status === 429 || answer.status >= 500 || PASSING.has(reason)) throw new Busy(message);
  throw OF_THE_TOKEN.has(reason) ? new Refused(message) : new Rejected(message);
}

/** null: it was posted. */
function problemOf(status: number, body: string): string | null {
  try {
    const { ok, error } = JSON.parse(body) as { ok?: unknown; error?: unknown };
    return ok === true ? null : typeof error === 'string' ? error : `status ${status}`;
  } catch {
    return `status ${status}`;
  }
}

/** The bot token among the system's notification settings, or null. */
export function botTokenOf(settings: Record<string, unknown> | null): string | null {
  const methods = settings?.['deliveryMethodsConfigs'] as Record<string, { botToken?: unknown } | undefined> | null | undefined;
  const token = methods?.['SLACK']?.botToken;
  return typeof token === 'string' && token.trim() !== '' ? token : null;
}
