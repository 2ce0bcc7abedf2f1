import { newId } from './id.ts';
import type { EntityRef } from './message.ts';
import type { EventRow } from './store.ts';
import type { DebugSettings } from './walk/chain.ts';

/** Events of integrations and converters (specs: integrations §6.1, rest-api §2.18). */

/** Most characters of one text in an event. */
const TEXT_LIMIT = 10_000;
/** Debug events of a tenant in an hour, integrations and converters each (specs: integrations §6.2). */
const DEBUG_LIMIT = 50_000;
const HOUR_MS = 3_600_000;

export type ContentType = 'JSON' | 'TEXT' | 'BINARY';

/** What a body looks like to people: BINARY as base64. */
export function shown(payload: Uint8Array, contentType: ContentType): string {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  // Four bytes of UTF-8 are one character at least.
  const part = bytes.length > TEXT_LIMIT * 4 ? bytes.subarray(0, TEXT_LIMIT * 4) : bytes;
  return cut(contentType === 'BINARY' ? part.toString('base64') : part.toString());
}

const cut = (text: string): string => (text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}… (cut)` : text);

/** `debugSettings` of a stored integration or converter; `debugMode` is the old form of "everything". */
export function debugSettingsOf(body: Record<string, unknown>): DebugSettings | null {
  const settings = body['debugSettings'];
  if (typeof settings !== 'object' || settings === null)
    return body['debugMode'] === true ? { failuresEnabled: true, allEnabled: true, allEnabledUntil: 0 } : null;
  const { failuresEnabled, allEnabled, allEnabledUntil } = settings as Record<string, unknown>;
  return { failuresEnabled: failuresEnabled === true, allEnabled: allEnabled === true, allEnabledUntil: Number(allEnabledUntil ?? 0) || 0 };
}

export function debugs(settings: DebugSettings | null, failed: boolean, now: number): boolean {
  if (settings === null) return false;
  return settings.allEnabled || now < settings.allEnabledUntil || (failed && settings.failuresEnabled);
}

export interface IntegrationEvents {
  integration(
    tenantId: string,
    integrationId: string,
    event: { type: string; message: string; messageType: ContentType; error: string | null },
    now: number,
  ): EventRow[];
  converter(
    tenantId: string,
    converterId: string,
    event: {
      type: 'Uplink' | 'Downlink';
      in: string;
      inMessageType: ContentType;
      out: string;
      outMessageType: ContentType | '';
      metadata: string;
      error: string | null;
    },
    now: number,
  ): EventRow[];
  lifecycle(tenantId: string, integrationId: string, event: string, error: string | null, now: number): EventRow;
  statistics(tenantId: string, integrationId: string, counts: { messagesProcessed: number; errorsOccurred: number }, now: number): EventRow;
}

/** @param server this process, in each body. */
export function createIntegrationEvents(server: string): IntegrationEvents {
  const used = new Map<string, { hour: number; n: number }>();

  /** null: over the hour's limit. The first one over it says so. */
  function admitted(key: string, now: number): 'yes' | 'last' | null {
    const hour = Math.floor(now / HOUR_MS);
    let entry = used.get(key);
    if (!entry || entry.hour !== hour) {
      entry = { hour, n: 0 };
      used.set(key, entry);
    }
    entry.n++;
    return entry.n <= DEBUG_LIMIT ? 'yes' : entry.n === DEBUG_LIMIT + 1 ? 'last' : null;
  }

  const row = (tenantId: string, entity: EntityRef, type: string, body: Record<string, unknown>, now: number): EventRow => ({
    id: newId(now),
    tenantId,
    entity,
    type,
    createdTime: now,
    body: { server, ...body },
  });

  return {
    integration(tenantId, id, event, now) {
      const admission = admitted(`${tenantId}/integration`, now);
      if (admission === null) return [];
      const error = admission === 'last' ? 'debug rate limit reached' : event.error;
      const body = {
        type: event.type,
        message: event.message,
        messageType: event.messageType,
        status: error === null ? 'OK' : 'FAILURE',
        error: cut(error ?? ''),
      };
      return [row(tenantId, { entityType: 'INTEGRATION', id }, 'DEBUG_INTEGRATION', body, now)];
    },
    converter(tenantId, id, event, now) {
      const admission = admitted(`${tenantId}/converter`, now);
      if (admission === null) return [];
      const error = admission === 'last' ? 'debug rate limit reached' : event.error;
      return [
        row(
          tenantId,
          { entityType: 'CONVERTER', id },
          'DEBUG_CONVERTER',
          { ...event, out: cut(event.out), metadata: cut(event.metadata), error: cut(error ?? '') },
          now,
        ),
      ];
    },
    lifecycle: (tenantId, id, event, error, now) =>
      row(
        tenantId,
        { entityType: 'INTEGRATION', id },
        'LC_EVENT',
        error === null ? { event, success: true } : { event, success: false, error: cut(error) },
        now,
      ),
    statistics: (tenantId, id, counts, now) => row(tenantId, { entityType: 'INTEGRATION', id }, 'STATS', counts, now),
  };
}
