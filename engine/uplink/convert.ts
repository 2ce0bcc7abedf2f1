import { ConverterError } from '#engine/errors.ts';
import type { RawDownlink } from '#engine/integration.ts';
import { Double, parseJson, printJson } from '#engine/json.ts';

/**
 * What the output of converters means (specs: integrations §2.2, §2.3, §2.6): pure functions from JSON text to what is stored or sent. A result is judged
 * as a whole: with one wrong element nothing of it is stored.
 */

export interface Telemetry {
  /** Unix ms. */
  readonly ts: number;
  /** JSON text of a flat map, without nulls, never empty. Numerals in text are not cast yet: the save nodes do that. */
  readonly valuesJson: string;
}

export interface UplinkEntity {
  readonly kind: 'DEVICE' | 'ASSET';
  readonly name: string;
  readonly type: string;
  /** These three matter only when the entity is created. */
  readonly label: string | null;
  readonly customer: string | null;
  readonly group: string | null;
  /** JSON text of a flat map without nulls; null: none. */
  readonly attributes: string | null;
  readonly telemetry: readonly Telemetry[];
  /** Keys that are stored only when their value changed, as named by this output; null: it names none. */
  readonly updateOnlyKeys: readonly string[] | null;
}

type Fields = Record<string, unknown>;

const MAX_KEY_CHARS = 255;
const MAX_SHOWN_CHARS = 1000;
const NOTHING: readonly UplinkEntity[] = Object.freeze([]);

/**
 * @param json what the script returned, as JSON text; undefined: nothing.
 * @param arrivalTs stands in for a missing `ts`.
 * @param exact keeps number texts as they are (`1.0`, 64-bit integers). Not needed for JavaScript, whose numbers are printed as they are read.
 * @throws ConverterError with the text of the specification's table and the path to the wrong value.
 */
export function uplinkOutput(json: string | undefined, arrivalTs: number, { exact = false } = {}): readonly UplinkEntity[] {
  try {
    return entities(json, arrivalTs, exact);
  } catch (cause) {
    // The engine reads any depth but prints only what its stack has room for.
    if (cause instanceof RangeError) throw new ConverterError("Can't parse value: it is nested too deeply", { path: '' });
    throw cause;
  }
}

function entities(json: string | undefined, arrivalTs: number, exact: boolean): readonly UplinkEntity[] {
  const result = read(json, exact);
  if (result === null) return NOTHING;
  const print = exact ? (printJson as (value: unknown) => string) : JSON.stringify;
  if (Array.isArray(result)) {
    return result.map((element, index) => {
      if (!isObject(element)) throw unparsable(element, `[${index}]`, print);
      return uplinkEntity(element, `[${index}]`, arrivalTs, print);
    });
  }
  if (!isObject(result)) throw new ConverterError('Converter must return an object or an array of objects', { path: '' });
  return isEmpty(result) ? NOTHING : [uplinkEntity(result, '', arrivalTs, print)];
}

type Print = (value: unknown) => string;

function read(json: string | undefined, exact: boolean): unknown {
  if (json === undefined) return null;
  return exact ? parseJson(json) : JSON.parse(json);
}

/** A plain object: neither null, nor an array, nor one of the classes that stand for numbers. */
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

function isEmpty(value: Fields): boolean {
  for (const _ in value) return false;
  return true;
}

const at = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

/** The start of it is enough to find it, and it is stored and sent with each such message. */
function unparsable(value: unknown, path: string, print: Print): ConverterError {
  const text = print(value);
  return new ConverterError(`Can't parse value: ${text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text}`, { path });
}

function uplinkEntity(output: Fields, path: string, arrivalTs: number, print: Print): UplinkEntity {
  const deviceName = nameOf(output['deviceName']);
  const assetName = nameOf(output['assetName']);
  if (deviceName !== null && assetName !== null) throw new ConverterError("Only one of 'deviceName' and 'assetName' may be specified", { path });
  const name = deviceName ?? assetName;
  if (name === null) throw new ConverterError("Either 'deviceName' or 'assetName' must be specified", { path });
  const kind = deviceName !== null ? 'DEVICE' : 'ASSET';
  const typeKey = kind === 'DEVICE' ? 'deviceType' : 'assetType';
  const type = nameOf(output[typeKey]);
  if (type === null) throw new ConverterError(`'${typeKey}' must be specified`, { path: at(path, typeKey) });
  const optional = (key: string): string | null => {
    const value = output[key];
    if (value === undefined || value === null) return null;
    if (typeof value === 'object') throw unparsable(value, at(path, key), print);
    return nameOf(typeof value === 'boolean' ? String(value) : value);
  };
  return {
    kind,
    name,
    type,
    label: optional(kind === 'DEVICE' ? 'deviceLabel' : 'assetLabel'),
    customer: optional('customerName'),
    group: optional('groupName'),
    attributes: values(output['attributes'] ?? {}, at(path, 'attributes'), print),
    telemetry: telemetryOf(output['telemetry'] ?? [], at(path, 'telemetry'), arrivalTs, print),
    updateOnlyKeys: updateOnlyKeys(output['updateOnlyKeys'] ?? output['contentAwareAttributeKeys'], at(path, 'updateOnlyKeys'), print),
  };
}

/** Numbers are as good as strings in a name; a blank one is none. */
function nameOf(value: unknown): string | null {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return typeof value === 'string' && value.trim() !== '' ? value : null;
}

/** The map's JSON text without its null values; null when nothing is left. */
function values(map: unknown, path: string, print: Print): string | null {
  if (!isObject(map)) throw unparsable(map, path, print);
  let count = 0;
  for (const key in map) {
    if (map[key] === null) {
      delete map[key];
      continue;
    }
    if (key === '' || key.length > MAX_KEY_CHARS) throw new ConverterError(`Invalid key: ${key}`, { path });
    count++;
  }
  return count === 0 ? null : print(map);
}

function telemetryOf(telemetry: unknown, path: string, arrivalTs: number, print: Print): Telemetry[] {
  const samples: Telemetry[] = [];
  if (!Array.isArray(telemetry)) addSample(samples, telemetry, path, arrivalTs, print);
  else for (let i = 0; i < telemetry.length; i++) addSample(samples, telemetry[i], `${path}[${i}]`, arrivalTs, print);
  return samples;
}

function addSample(samples: Telemetry[], sample: unknown, path: string, arrivalTs: number, print: Print): void {
  if (!isObject(sample)) throw unparsable(sample, path, print);
  const hasTs = sample['ts'] !== undefined && sample['values'] !== undefined;
  const ts = hasTs ? timestamp(sample['ts'], at(path, 'ts'), print) : arrivalTs;
  const valuesJson = hasTs ? values(sample['values'], at(path, 'values'), print) : values(sample, path, print);
  if (valuesJson !== null) samples.push({ ts, valuesJson });
}

/** A date, or a date and time; what names no zone is UTC. */
const ISO_8601 = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
/** The last one that a Date can hold. */
const MAX_TS = 8.64e15;

function timestamp(value: unknown, path: string, print: Print): number {
  let ts = Number.NaN;
  if (typeof value === 'number') ts = value;
  else if (typeof value === 'string') {
    const text = value.trim();
    if (/^\d+(?:\.\d+)?$/.test(text)) ts = Number(text);
    else {
      const iso = ISO_8601.exec(text);
      if (iso !== null) ts = Date.parse(iso[1] === undefined && text.length > 10 ? `${text}Z` : text);
    }
  } else if (value instanceof Double) ts = value.value;
  ts = Math.trunc(ts);
  if (!(ts > 0 && ts <= MAX_TS)) throw new ConverterError(`Invalid timestamp: ${typeof value === 'string' ? value : print(value)}`, { path });
  return ts;
}

/** The list in a converter's configuration or output; null where there is none. @throws ConverterError when it is no list of keys. */
export function updateOnlyKeys(list: unknown, path = 'updateOnlyKeys', print: Print = JSON.stringify): readonly string[] | null {
  if (list === undefined || list === null) return null;
  if (!Array.isArray(list) || !list.every((key) => typeof key === 'string')) throw unparsable(list, path, print);
  return list;
}

const CONTENT_TYPES: readonly unknown[] = ['JSON', 'TEXT', 'BINARY'] satisfies RawDownlink['contentType'][];
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3}={0,2})?$/;

/**
 * @param json what the script returned, as JSON text; undefined, `null`, `[]` and `{}`: no downlink.
 * @throws ConverterError with the text of specs: integrations §2.6.
 */
export function downlinkOutput(json: string | undefined): readonly RawDownlink[] {
  const result = read(json, false);
  if (result === null) return [];
  if (!Array.isArray(result)) return isObject(result) && isEmpty(result) ? [] : [downlink(result, '')];
  return result.map((element, index) => downlink(element, `[${index}]`));
}

function downlink(output: unknown, path: string): RawDownlink {
  if (!isObject(output)) throw new ConverterError('Downlink converter must return an object or an array', { path });
  const { contentType, data, metadata = null } = output;
  if (!CONTENT_TYPES.includes(contentType))
    throw new ConverterError("'contentType' is missing or not one of JSON, TEXT, BINARY", { path: at(path, 'contentType') });
  // A common mistake that has one possible meaning.
  const text = contentType === 'JSON' && typeof data === 'object' && data !== null ? JSON.stringify(data) : data;
  if (typeof text !== 'string') throw new ConverterError("'data' is missing or not a string", { path: at(path, 'data') });
  if (contentType === 'BINARY' && !BASE64.test(text)) throw new ConverterError("'data' is not valid base64", { path: at(path, 'data') });
  return {
    contentType: contentType as RawDownlink['contentType'],
    data: Buffer.from(text, contentType === 'BINARY' ? 'base64' : 'utf8'),
    metadata: textMap(metadata, at(path, 'metadata')),
  };
}

/** Encoders put numbers and flags into metadata: topics and names are made of it, so all become text. */
function textMap(map: unknown, path: string): Record<string, string> {
  const texts: Record<string, string> = {};
  if (map === null) return texts;
  if (!isObject(map)) throw unparsable(map, path, JSON.stringify);
  for (const [key, value] of Object.entries(map)) {
    if (value === null) continue;
    // defineProperty: `__proto__` is a key like any other.
    Object.defineProperty(texts, key, {
      value: typeof value === 'string' ? value : JSON.stringify(value),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return texts;
}
