import type { EventQuery } from '#engine/store.ts';

/** Age at which events of debugging end. */
export const DEBUG_MS = 7 * 86_400_000;
export const isDebug = (type: string): boolean => type.startsWith('DEBUG_');

const isEmpty = (value: unknown): boolean => value === undefined || value === null || value === '';

/** Conditions on the body, which no index knows. null: the query has none. */
export function matcher({ contains = {}, ranges = {}, isError }: EventQuery): ((body: Record<string, unknown>) => boolean) | null {
  const texts = Object.entries(contains).map(([key, text]) => [key, text.toLowerCase()] as const);
  const numbers = Object.entries(ranges);
  if (texts.length === 0 && numbers.length === 0 && isError === undefined) return null;
  return (body) => {
    if (isError !== undefined && isEmpty(body['error']) === isError) return false;
    for (const [key, text] of texts) {
      const value = body[key];
      if (isEmpty(value)) return false;
      const lower = String(value).toLowerCase();
      if (typeof value === 'string' ? !lower.includes(text) : lower !== text) return false;
    }
    return numbers.every(([key, [min, max]]) => {
      const value = body[key];
      return typeof value === 'number' && (min === null || value >= min) && (max === null || value <= max);
    });
  };
}
