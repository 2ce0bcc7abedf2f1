import { parseJson } from '#engine/json.ts';

/** "Parse to plain text" of the external nodes: a JSON string loses its quotes and escapes, everything else stays as it is. */
export function plainTextOf(data: string): string {
  if (data.length < 2 || !data.startsWith('"') || !data.endsWith('"')) return data;
  try {
    const value = parseJson(data);
    return typeof value === 'string' ? value : data;
  } catch {
    return data;
  }
}
