import type { KeyValue, Value } from '#engine/json.ts';

/** Values as plain JSON shows them: 64-bit integers beyond 2^53 as text. */
export function plainValues(values: readonly KeyValue[]): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  // A key may be `__proto__`.
  for (const [key, value] of values)
    Object.defineProperty(shown, key, { value: plainValue(value), enumerable: true, configurable: true, writable: true });
  return shown;
}

function plainValue(value: Value): unknown {
  if (value.type === 'JSON') {
    try {
      return JSON.parse(value.value);
    } catch {
      return value.value;
    }
  }
  return typeof value.value === 'bigint' ? String(value.value) : value.value;
}

/** What becomes JSON, made plain: bytes as text, 64-bit integers as text. */
export const jsonValues = (value: Record<string, unknown>): Record<string, unknown> =>
  JSON.parse(
    JSON.stringify(value, function (this: Record<string, unknown>, key, part: unknown) {
      // A Buffer is an object with a list by the time that it is `part`.
      const before = this[key];
      if (before instanceof Uint8Array) return Buffer.from(before).toString();
      return typeof part === 'bigint' ? String(part) : part;
    }),
  );
