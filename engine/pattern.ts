import { firstJson, isJsonObject, type Json, plainText, printJson } from './json.ts';
import type { Message, Metadata } from './message.ts';

/**
 * Template patterns (specs: rule-nodes §2.6): `${key}` is a metadata value, `$[a.b]` a scalar in the data, `${*}` and `$[*]` all of either. What does not
 * resolve stays as it is. Metadata comes first, so a `$[…]` that a metadata value brings in is filled too.
 */
export type Pattern = (message: Message) => string;

const ALL_METADATA = '${*}';
const ALL_DATA = '$[*]';
const DATA_STEP = /\$\[(.*?)\]/g;
const NESTED = /\$\{[^}]*\$\{/;

const asItIs = (text: string): string => text;
/** For values that stand inside the quotes of a JSON text (the body template of "rest api call"). */
export const jsonEscaped = (text: string): string => JSON.stringify(text).slice(1, -1);

/**
 * @param escaped what is done to a text before it is put in; `${*}` and `$[*]` are JSON already and stay as they are.
 * @throws Error `Failed to process pattern!` when the data is no JSON, whether the pattern looks at it or not.
 */
export function compilePattern(pattern: string, escaped: (text: string) => string = asItIs): Pattern {
  const usesMetadata = pattern.includes('${');
  // A metadata value may bring in what the pattern itself does not have.
  const isLiteral = !usesMetadata && !pattern.includes('$[');
  return (message) => {
    let data: Json;
    try {
      data = firstJson(message);
    } catch (cause) {
      throw new Error('Failed to process pattern!', { cause });
    }
    if (isLiteral) return pattern;
    const text = usesMetadata ? fillMetadata(pattern, message.metadata, escaped) : pattern;
    return text.includes('$[') ? fillData(text, data, escaped) : text;
  };
}

export const fillPattern = (pattern: string, message: Message): string => compilePattern(pattern)(message);

function fillMetadata(pattern: string, metadata: Metadata, escaped: (text: string) => string): string {
  let text = pattern.includes(ALL_METADATA) ? pattern.replaceAll(ALL_METADATA, () => JSON.stringify(metadata)) : pattern;
  const keys = Object.keys(metadata);
  for (const key of NESTED.test(pattern) || keys.some((key) => metadata[key]!.includes('${')) ? javaOrder(keys) : keys) {
    const place = `\${${key}}`;
    if (text.includes(place)) text = text.replaceAll(place, () => escaped(metadata[key]!));
  }
  return text;
}

function fillData(pattern: string, data: Json, escaped: (text: string) => string): string {
  let text = pattern.includes(ALL_DATA) ? pattern.replaceAll(ALL_DATA, () => printJson(data)) : pattern;
  if (!isJsonObject(data)) return text;
  for (const [place, path = ''] of text.matchAll(DATA_STEP)) {
    const found = scalarAt(data, path);
    if (found !== undefined) text = text.replaceAll(place, () => escaped(found));
  }
  return text;
}

/** The scalar at the end of a dotted path of object keys, as text; array steps are not supported. */
function scalarAt(data: Json, path: string): string | undefined {
  let at: Json | undefined = data;
  for (const step of path.replace(/\.+$/, '').split('.')) {
    at = step !== '' && isJsonObject(at) && Object.hasOwn(at, step) ? at[step] : undefined;
    if (at === undefined) return undefined;
  }
  return Array.isArray(at) || isJsonObject(at) ? undefined : plainText(at);
}

/**
 * Keys in the order in which the original goes through its hash map. It decides what becomes of `${${a}}`, and of a value that itself holds `${…}`: filled when
 * its key comes later, left alone when it came before (cases pattern-adjacent-braces, pattern-expand-from-md).
 */
function javaOrder(keys: string[]): string[] {
  const slots = 2 ** Math.ceil(Math.log2(Math.trunc(keys.length / 0.75 + 1)));
  const slotOf = new Map(keys.map((key) => [key, javaHash(key) & (slots - 1)]));
  return keys.sort((a, b) => slotOf.get(a)! - slotOf.get(b)!);
}

/** `String.hashCode` as `HashMap` spreads it. */
function javaHash(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash ^ (hash >>> 16);
}
