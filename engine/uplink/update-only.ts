import type { UplinkEntity } from './convert.ts';

/** Keys that are written only when their value is another than the last one seen of that entity (specs: integrations §2.3). */
export interface ChangedOnly {
  filter(entityId: string, entity: UplinkEntity, configured: readonly string[] | undefined): Pick<UplinkEntity, 'attributes' | 'telemetry'>;
  /** What was seen last was not stored: everything is written once more. */
  forget(): void;
}

type Values = Record<string, unknown>;

/** Values kept in memory; then all are forgotten, which costs one redundant write each. */
const KEPT = 1_000_000;

/** For who can not know what was seen last: a value that is written once more does no harm, one that is left out would be lost. */
export const EVERYTHING: ChangedOnly = { filter: (_entityId, entity) => entity, forget() {} };

export function createChangedOnly(): ChangedOnly {
  let seen = new Map<string, string>();

  function changed(prefix: string, valuesJson: string, keys: ReadonlySet<string>): string | null {
    const values = JSON.parse(valuesJson) as Values;
    let left = 0;
    for (const key of Object.keys(values)) {
      if (keys.has(key)) {
        // JSON text: `22` and `"22"` differ.
        const text = JSON.stringify(values[key]);
        const place = `${prefix}${key}`;
        if (seen.get(place) === text) {
          delete values[key];
          continue;
        }
        if (seen.size >= KEPT) seen = new Map();
        seen.set(place, text);
      }
      left++;
    }
    return left === 0 ? null : JSON.stringify(values);
  }

  return {
    filter(entityId, entity, configured = []) {
      const named = entity.updateOnlyKeys ?? [];
      if (configured.length + named.length === 0) return entity;
      const keys = new Set([...configured, ...named]);
      return {
        attributes: entity.attributes === null ? null : changed(`${entityId}/a/`, entity.attributes, keys),
        telemetry: entity.telemetry.flatMap(({ ts, valuesJson }) => {
          const left = changed(`${entityId}/t/`, valuesJson, keys);
          return left === null ? [] : [{ ts, valuesJson: left }];
        }),
      };
    },
    forget() {
      seen = new Map();
    },
  };
}
