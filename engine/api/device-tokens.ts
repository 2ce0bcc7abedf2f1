import type { Backend } from '../queue.ts';
import type { Doc } from '../store.ts';

const MAX_KEPT = 10_000;

/** The device behind an access token; kept until a device or its credentials change. */
export function deviceTokens(backend: Backend): (token: string) => Promise<Doc | null> {
  const kept = new Map<string, Doc>();
  let generation = 0;
  backend.onChange((changes) => {
    if (!changes.some(({ collection }) => collection === 'DEVICE' || collection === 'DEVICE_CREDENTIALS')) return;
    generation++;
    kept.clear();
  });
  return async (token) => {
    const known = kept.get(token);
    if (known) return known;
    const before = generation;
    const credentials = await backend.store.docByKey('DEVICE_CREDENTIALS', token);
    if (!credentials?.ref || credentials.body['credentialsType'] !== 'ACCESS_TOKEN') return null;
    const device = await backend.store.doc('DEVICE', credentials.tenantId, credentials.ref);
    // What changed while we read may not be kept.
    if (device && before === generation) {
      if (kept.size >= MAX_KEPT) kept.clear();
      kept.set(token, device);
    }
    return device;
  };
}
