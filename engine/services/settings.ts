import { NULL_ID } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Store } from '#engine/store.ts';

/** Unique key of the system's settings of this name (`mail`, `sms`, `securitySettings`). */
export const settingsKey = (key: string): string => `${NULL_ID}/${key}`;

export const settingsService = (store: Pick<Store, 'docByKey'>): Services['settings'] => ({
  async find(key) {
    const found = (await store.docByKey('ADMIN_SETTINGS', settingsKey(key)))?.body['jsonValue'];
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : null;
  },
});
