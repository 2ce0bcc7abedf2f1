import { type TSchema, Type } from 'typebox';
import { NULL_ID } from '#engine/message.ts';
import type { Secrets } from '#engine/secrets.ts';
import type { Services } from '#engine/services.ts';
import type { Store } from '#engine/store.ts';

/** Unique key of the settings of this name: of the system (`mail`, `sms`, `securitySettings`), or a tenant's own (`notifications`). */
export const settingsKey = (key: string, tenantId: string = NULL_ID): string => `${tenantId}/${key}`;

const secret = Type.Optional(Type.String({ secret: true }));

/** What of the settings is a secret: sealed in the store, never sent back, kept by a save that leaves it out. */
export const SETTINGS_SECRETS: Readonly<Record<string, TSchema>> = {
  mail: Type.Object({ password: secret, proxyPassword: secret, clientSecret: secret, refreshToken: secret }),
  sms: Type.Object({ secretAccessKey: secret, accountToken: secret, password: secret }),
  notifications: Type.Object({ deliveryMethodsConfigs: Type.Object({ SLACK: Type.Object({ botToken: secret }) }) }),
};

/** @param secrets without them secrets stay sealed: who sends nothing needs none. */
export const settingsService = (
  store: Pick<Store, 'docByKey'>,
  tenantId: string,
  secrets: Pick<Secrets, 'openConfig'> | null = null,
): Services['settings'] => ({
  async find(key) {
    const doc = (await store.docByKey('ADMIN_SETTINGS', settingsKey(key, tenantId))) ?? (await store.docByKey('ADMIN_SETTINGS', settingsKey(key)));
    const found = doc?.body['jsonValue'];
    if (typeof found !== 'object' || found === null) return null;
    const schema = SETTINGS_SECRETS[key];
    return (schema && secrets ? secrets.openConfig(schema, found) : found) as Record<string, unknown>;
  },
});
