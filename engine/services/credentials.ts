import type { Services } from '#engine/services.ts';
import type { Store } from '#engine/store.ts';

/** Read anew each time: they are asked for seldom, and whoever changed them must not meet the old ones. */
export const credentialServices = (tenantId: string, store: Pick<Store, 'docs'>): Services['credentials'] => ({
  async ofDevice(deviceId) {
    const [doc] = (await store.docs('DEVICE_CREDENTIALS', tenantId, { ref: deviceId, pageSize: 1 })).data;
    if (!doc) return null;
    const { credentialsType, credentialsId, credentialsValue } = doc.body;
    return {
      type: String(credentialsType),
      id: String(credentialsId),
      value: typeof credentialsValue === 'string' ? credentialsValue : null,
    };
  },
});
