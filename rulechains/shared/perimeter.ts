import { type Static, Type } from 'typebox';
import { Double, isJsonObject, type Json, json, parseJson, plainText } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from './fields.ts';
import { type Area, areaOf, distance, type Point, RANGE_UNITS, type RangeUnit } from './geo.ts';

/** What the geofencing nodes share: coordinates and a perimeter, from the configuration or the message. */

export const perimeterFields = {
  latitudeKeyName: nullable(Type.String(), { title: 'Latitude key', description: 'Looked up in the message data, then in its metadata.' }),
  longitudeKeyName: nullable(Type.String(), { title: 'Longitude key', description: 'Looked up in the message data, then in its metadata.' }),
  perimeterType: nullable(Type.Enum(['CIRCLE', 'POLYGON']), { title: 'Perimeter', description: 'A circle, or one or more polygons.' }),
  fetchPerimeterInfoFromMessageMetadata: Type.Boolean({
    title: 'Perimeter from metadata',
    description: 'The perimeter is in the metadata of each message, in place of this configuration.',
  }),
  perimeterKeyName: nullable(Type.String(), {
    title: 'Perimeter key',
    description: 'Metadata key: polygons as below, or {"latitude", "longitude", "radius", "radiusUnit"}.',
  }),
  polygonsDefinition: nullable(Type.String(), {
    title: 'Polygons',
    description: 'JSON: [[latitude, longitude], …], or a list of those. Two points are a rectangle; a polygon inside another one is a hole.',
    examples: ['[[48.0,16.0],[48.0,17.0],[49.0,17.0],[49.0,16.0]]'],
  }),
  centerLatitude: nullable(Type.Number(), { title: 'Latitude of the centre', description: 'Of the circle.' }),
  centerLongitude: nullable(Type.Number(), { title: 'Longitude of the centre', description: 'Of the circle.' }),
  range: nullable(Type.Number(), { title: 'Range', description: 'Radius of the circle, in the unit of the range.' }),
  rangeUnit: nullable(Type.Enum(RANGE_UNITS), { title: 'Unit of the range', description: 'METER, KILOMETER, FOOT, MILE or NAUTICAL_MILE.' }),
};

export const PERIMETER_DEFAULTS = {
  latitudeKeyName: 'latitude',
  longitudeKeyName: 'longitude',
  perimeterType: 'POLYGON',
  fetchPerimeterInfoFromMessageMetadata: true,
  perimeterKeyName: 'ss_perimeter',
  polygonsDefinition: null,
  centerLatitude: null,
  centerLongitude: null,
  range: null,
  rangeUnit: null,
} as const;

const Perimeter = Config(perimeterFields);
export type PerimeterConfig = Static<typeof Perimeter>;

/** @throws Error with the reason why it can not be told. */
export function isInside(message: Message, config: PerimeterConfig): boolean {
  const data = json(message);
  if (!isJsonObject(data)) throw new Error('Incoming Message is not a valid JSON object!');
  const coordinate = (key: string | null): number => {
    const value = key !== null && Object.hasOwn(data, key) ? data[key]! : null;
    if (value !== null && !Array.isArray(value) && !isJsonObject(value)) return javaNumber(value);
    const text = key === null ? undefined : message.metadata[key];
    if (!text) throw new Error(`Incoming Message has no ${key} in data or metadata!`);
    return javaNumber(text);
  };
  const point: Point = [coordinate(config.latitudeKeyName), coordinate(config.longitudeKeyName)];
  return config.fetchPerimeterInfoFromMessageMetadata ? isInsideOfMetadata(point, message, config) : isInsideOfConfig(point, config);
}

function isInsideOfConfig(point: Point, config: PerimeterConfig): boolean {
  if (config.perimeterType === null) throw new Error('Unsupported perimeter type: null!');
  if (config.perimeterType === 'POLYGON' && config.polygonsDefinition === null) throw new Error('polygonInString is marked non-null but is null');
  if (config.perimeterType === 'POLYGON') return polygonArea(config.polygonsDefinition)(point);
  const { centerLatitude, centerLongitude, range, rangeUnit } = config;
  if (centerLatitude === null || centerLongitude === null || range === null || rangeUnit === null) throw new Error('Circle is not complete!');
  return distance(point, [centerLatitude, centerLongitude], rangeUnit) < range;
}

function isInsideOfMetadata(point: Point, { metadata }: Message, { perimeterKeyName, perimeterType }: PerimeterConfig): boolean {
  if (!perimeterKeyName) {
    // Files that are older than the key.
    if (metadata['perimeter']) return polygonArea(metadata['perimeter'])(point);
    if (!metadata['centerLatitude']) throw new Error('Missing perimeter definition!');
    const [latitude, longitude, range] = ['centerLatitude', 'centerLongitude', 'range'].map((key) => javaNumber(metadata[key] ?? null));
    return distance(point, [latitude!, longitude!], unitOf(metadata['rangeUnit'] ?? null)) < range!;
  }
  const text = metadata[perimeterKeyName];
  if (!text) throw new Error('Missing perimeter definition!');
  if (perimeterType === null) throw new Error('Unsupported perimeter type: null');
  if (perimeterType === 'POLYGON') return polygonArea(text)(point);
  const circle = parseJson(text);
  if (!isJsonObject(circle)) throw new Error(`Perimeter is no circle: ${text.slice(0, 100)}`);
  const part = (key: string): number => {
    if (!Object.hasOwn(circle, key)) throw new Error(`Circle has no ${key}!`);
    return lenientNumber(circle[key]!);
  };
  const unit = Object.hasOwn(circle, 'radiusUnit') ? unitOf(plainText(circle['radiusUnit']!)) : 'METER';
  return distance(point, [part('latitude'), part('longitude')], unit) < part('radius');
}

function unitOf(name: string | null): RangeUnit {
  const unit = RANGE_UNITS.find((known) => known === name);
  if (!unit) throw new Error(`Unknown unit of range: ${name}`);
  return unit;
}

const JAVA_NUMBER = /^[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?)$/;

/** As `Double.parseDouble` of Java reads its text. */
function javaNumber(value: Json): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Double) return value.value;
  const text = value === null ? '' : plainText(value).trim();
  if (text === '') throw new Error('empty String');
  if (!JAVA_NUMBER.test(text)) throw new Error(`For input string: "${text.slice(0, 100)}"`);
  return Number(text.replace(/[fFdD]$/, ''));
}

/** As `asDouble` reads it: what is no number is 0. */
function lenientNumber(value: Json): number {
  if (typeof value === 'boolean') return value ? 1 : 0;
  try {
    return javaNumber(value);
  } catch {
    return 0;
  }
}

/** Areas of the texts that came last: they are the same for many messages. */
const AREAS = new Map<string, Area>();
const MOST_AREAS = 100;

function polygonArea(text: string | null): Area {
  if (text === null || text.trim() === '') throw new Error("Polygon string can't be empty or null!");
  const known = AREAS.get(text);
  if (known) return known;
  const area = areaOf(polygonsIn(listOf(readPolygons(text))));
  if (AREAS.size >= MOST_AREAS) AREAS.delete(AREAS.keys().next().value!);
  AREAS.set(text, area);
  return area;
}

function readPolygons(text: string): Json {
  try {
    return parseJson(text);
  } catch (cause) {
    throw new Error(`Not a JSON Array: ${JSON.stringify(text.slice(0, 100))}`, { cause });
  }
}

function listOf(value: Json | undefined): Json[] {
  if (!Array.isArray(value)) throw new Error(`Not a JSON Array: ${JSON.stringify(plainText(value ?? null).slice(0, 100))}`);
  return value;
}

/** A list of points is a polygon; anything else is a list of polygons, however deep. */
function polygonsIn(list: readonly Json[]): Point[][] {
  if (list.every((element) => listOf(element).slice(0, 1).some(isScalar)))
    return [list.map((point): Point => [javaNumber(listOf(point)[0]!), javaNumber(secondOf(point))])];
  return list.flatMap((element) => polygonsIn(listOf(element)));
}

const isScalar = (value: Json): boolean => value !== null && !Array.isArray(value) && !isJsonObject(value);

function secondOf(point: Json): Json {
  const second = listOf(point)[1];
  if (second === undefined || !isScalar(second)) throw new Error('A point has no longitude!');
  return second;
}
