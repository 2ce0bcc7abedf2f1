import { Refused, Rejected, Timeout } from '#engine/errors.ts';
import { type HttpClient, openHttp } from './http.ts';

/** Twilio's REST interface of 2010-04-01. */

export const TWILIO_URL = 'https://api.twilio.com';

export interface Twilio {
  /** Makes a resource of the account: `Messages`, `Calls`. @throws Refused, Rejected, Timeout, and what the HTTP client throws */
  create(resource: string, form: Readonly<Record<string, string>>, failure: string, signal: AbortSignal): Promise<void>;
  stop(): void;
}

export function openTwilio({ sid, token, url = TWILIO_URL }: { sid: string; token: string; url?: string }): Twilio {
  const http: HttpClient = openHttp();
  const headers: [string, string][] = [
    ['Authorization', `Basic ${Buffer.from(`${sid}:${token}`).toString('base64')}`],
    ['Content-Type', 'application/x-www-form-urlencoded'],
  ];
  return {
    async create(resource, form, failure, signal) {
      const answer = await http.request({
        ...{ method: 'POST', headers, signal },
        url: `${url}/2010-04-01/Accounts/${encodeURIComponent(sid)}/${resource}.json`,
        body: new URLSearchParams(form).toString(),
      });
      if (answer.status >= 200 && answer.status < 300) return;
      const reason = `${failure} - ${reasonOf(answer.body) ?? `status ${answer.status}`}`;
      if (answer.status === 401 || answer.status === 403) throw new Refused(reason);
      if (answer.status === 429 || answer.status >= 500) throw new Timeout(reason);
      throw new Rejected(reason);
    },
    stop: () => http.stop(),
  };
}

function reasonOf(body: string): string | null {
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : null;
  } catch {
    return null;
  }
}

/** A messaging service has no number of its own. */
export const senderOf = (from: string): Record<string, string> => (/^MG[0-9a-fA-F]{32}$/.test(from) ? { MessagingServiceSid: from } : { From: from });

const MOST_UNFINISHED = 10_000;

/** One after the other; of a message that is tried again, those that have it already are passed over: nobody is called twice because another could not be reached. */
export function recipients(): (messageId: string, numbers: readonly string[], send: (number: string) => Promise<void>) => Promise<void> {
  const served = new Map<string, Set<string>>();
  return async (messageId, numbers, send) => {
    const done = served.get(messageId) ?? new Set();
    for (const number of numbers) {
      if (done.has(number)) continue;
      await send(number);
      done.add(number);
      served.set(messageId, done);
      if (served.size > MOST_UNFINISHED) served.delete(served.keys().next().value!);
    }
    served.delete(messageId);
  };
}
