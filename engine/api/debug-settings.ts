import type { DebugSettings } from '#engine/walk/chain.ts';

const DEBUG_MS = 15 * 60_000;

/**
 * Debug settings of a saved converter or integration (specs: rest-api §2.9): `allEnabled` is a command that ends by itself, `debugMode` its older form.
 * Without any, failures are kept.
 */
export function debugSettings(fields: Record<string, unknown>, now: number): DebugSettings {
  const settings = fields['debugSettings'];
  if (typeof settings !== 'object' || settings === null) {
    return { failuresEnabled: true, allEnabled: false, allEnabledUntil: fields['debugMode'] === true ? now + DEBUG_MS : 0 };
  }
  const { failuresEnabled, allEnabled, allEnabledUntil } = settings as Record<string, unknown>;
  const until = typeof allEnabledUntil === 'number' && Number.isFinite(allEnabledUntil) ? Math.min(Math.trunc(allEnabledUntil), now + DEBUG_MS) : 0;
  return { failuresEnabled: failuresEnabled === true, allEnabled: false, allEnabledUntil: allEnabled === true ? now + DEBUG_MS : until };
}
