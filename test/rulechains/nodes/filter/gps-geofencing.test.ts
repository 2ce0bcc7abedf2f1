import assert from 'node:assert/strict';
import test from 'node:test';
import gpsGeofencing from '#rulechains/nodes/filter/gps-geofencing.ts';
import { message } from '#test/support/message.ts';
import { run, start } from '#test/support/services.ts';

const SQUARE = '[[48.0,16.0],[48.0,17.0],[49.0,17.0],[49.0,16.0]]';
const polygon = { fetchPerimeterInfoFromMessageMetadata: false, polygonsDefinition: SQUARE };
const VIENNA = { perimeterType: 'CIRCLE', fetchPerimeterInfoFromMessageMetadata: false, centerLatitude: 48.2082, centerLongitude: 16.3738 };
const bratislava = { latitude: 48.1486, longitude: 17.1077 };
const inside = { latitude: 48.5, longitude: 16.5 };
const failure = (error: string) => ({ to: 'Failure', error });
const old = { perimeterKeyName: '' };
const circle = { perimeterType: 'CIRCLE' };

for (const { name, config = polygon, data = inside, metadata = {}, to } of [
  { name: 'inside', to: 'True' },
  { name: 'outside', data: { latitude: 50, longitude: 16.5 }, to: 'False' },
  { name: 'on the border', data: { latitude: 49.0, longitude: 16.5 }, to: 'False' },
  // coordinates
  { name: 'coordinates in the metadata', data: {}, metadata: { latitude: '48.5', longitude: ' 1.65e1 ' }, to: 'True' },
  { name: 'one here, one there', data: { latitude: 48.5 }, metadata: { longitude: '16.5' }, to: 'True' },
  { name: 'data comes first', data: { latitude: 48.5, longitude: 10 }, metadata: { longitude: '16.5' }, to: 'False' },
  { name: 'a null counts as missing', data: { latitude: null, longitude: 16.5 }, metadata: { latitude: '48.5' }, to: 'True' },
  { name: 'text in data', data: { latitude: '48.5', longitude: '16.5' }, to: 'True' },
  { name: 'numbers as Java writes them', data: '{"latitude":4.85e1,"longitude":16.50}', to: 'True' },
  { name: 'an object is none', data: { latitude: { a: 1 }, longitude: 16.5 }, to: failure('Incoming Message has no latitude in data or metadata!') },
  { name: 'an array is none', data: { latitude: 48.5, longitude: [1] }, to: failure('Incoming Message has no longitude in data or metadata!') },
  { name: 'empty text', data: { latitude: '', longitude: 16.5 }, to: failure('empty String') },
  { name: 'a word', data: { latitude: 48.5 }, metadata: { longitude: 'x' }, to: failure('For input string: "x"') },
  { name: 'a flag', data: { latitude: true, longitude: 1 }, to: failure('For input string: "true"') },
  { name: 'no key', config: { ...polygon, latitudeKeyName: null }, to: failure('Incoming Message has no null in data or metadata!') },
  { name: 'an array as data', data: [], to: failure('Incoming Message is not a valid JSON object!') },
  { name: 'a number as data', data: 42, to: failure('Incoming Message is not a valid JSON object!') },
  { name: 'null as data', data: 'null', to: failure('Incoming Message is not a valid JSON object!') },
  // polygons
  { name: 'no corners', config: { ...polygon, polygonsDefinition: '[]' }, to: 'False' },
  { name: 'a polygon without corners', config: { ...polygon, polygonsDefinition: '[[]]' }, to: 'False' },
  { name: 'one with, one without', config: { ...polygon, polygonsDefinition: `[[],[[]],${SQUARE}]` }, to: 'True' },
  { name: 'altitudes', config: { ...polygon, polygonsDefinition: '[[48,16,1],[48,17,1],[49,17,1],[49,16,1]]' }, to: 'True' },
  { name: 'text as numbers', config: { ...polygon, polygonsDefinition: '[["48","16"],["49","17"]]' }, to: 'True' },
  { name: 'several', config: { ...polygon, polygonsDefinition: `[[[1,1],[2,2]],${SQUARE}]` }, to: 'True' },
  { name: 'deeper', config: { ...polygon, polygonsDefinition: `[[[[1,1],[2,2]],${SQUARE}]]` }, to: 'True' },
  { name: 'no polygon', config: { ...polygon, polygonsDefinition: null }, to: failure('polygonInString is marked non-null but is null') },
  { name: 'blank polygon', config: { ...polygon, polygonsDefinition: ' ' }, to: failure("Polygon string can't be empty or null!") },
  { name: 'no JSON', config: { ...polygon, polygonsDefinition: 'bad' }, to: failure('Not a JSON Array: "bad"') },
  { name: 'an object as polygon', config: { ...polygon, polygonsDefinition: '{}' }, to: failure('Not a JSON Array: "{}"') },
  { name: 'points that are none', config: { ...polygon, polygonsDefinition: '[1,2]' }, to: failure('Not a JSON Array: "1"') },
  { name: 'half a point', config: { ...polygon, polygonsDefinition: '[[1],[2]]' }, to: failure('A point has no longitude!') },
  { name: 'no type', config: { ...polygon, perimeterType: null }, to: failure('Unsupported perimeter type: null!') },
  // circles
  { name: 'in the circle', config: { ...VIENNA, range: 56_000, rangeUnit: 'METER' }, data: bratislava, to: 'True' },
  { name: 'out of the circle', config: { ...VIENNA, range: 54, rangeUnit: 'KILOMETER' }, data: bratislava, to: 'False' },
  { name: 'feet', config: { ...VIENNA, range: 183_800, rangeUnit: 'FOOT' }, data: bratislava, to: 'True' },
  { name: 'miles', config: { ...VIENNA, range: 33.5, rangeUnit: 'MILE' }, data: bratislava, to: 'False' },
  { name: 'nautical miles', config: { ...VIENNA, range: 29.7, rangeUnit: 'NAUTICAL_MILE' }, data: bratislava, to: 'True' },
  { name: 'no range', config: { ...VIENNA, range: 0, rangeUnit: 'METER' }, data: { latitude: 48.2082, longitude: 16.3738 }, to: 'False' },
  { name: 'no unit', config: { ...VIENNA, range: 1, rangeUnit: null }, to: failure('Circle is not complete!') },
  {
    name: 'not on the earth',
    config: { ...VIENNA, range: 1, rangeUnit: 'METER' },
    data: { latitude: 1, longitude: 200 },
    to: failure('Bad longitude 200: it is not between -180 and 180'),
  },
  // from the metadata
  { name: 'polygon in the metadata', config: {}, metadata: { ss_perimeter: SQUARE }, to: 'True' },
  { name: 'none in the metadata', config: {}, to: failure('Missing perimeter definition!') },
  { name: 'empty in the metadata', config: {}, metadata: { ss_perimeter: '' }, to: failure('Missing perimeter definition!') },
  { name: 'no type, none in the metadata', config: { perimeterType: null }, to: failure('Missing perimeter definition!') },
  {
    name: 'circle in the metadata, in metres',
    config: circle,
    metadata: { ss_perimeter: '{"latitude":"48.5","longitude":16.5,"radius":"50"}' },
    to: 'True',
  },
  {
    name: 'circle with a unit',
    config: circle,
    metadata: { ss_perimeter: '{"latitude":48,"longitude":16.5,"radius":50,"radiusUnit":"KILOMETER"}' },
    to: 'False',
  },
  { name: 'circle with a bad number: 0', config: circle, metadata: { ss_perimeter: '{"latitude":48.5,"longitude":16.5,"radius":"x"}' }, to: 'False' },
  {
    name: 'circle with an unknown unit',
    config: circle,
    metadata: { ss_perimeter: '{"latitude":1,"longitude":1,"radius":1,"radiusUnit":"YARD"}' },
    to: failure('Unknown unit of range: YARD'),
  },
  { name: 'half a circle', config: circle, metadata: { ss_perimeter: '{"latitude":1}' }, to: failure('Circle has no longitude!') },
  { name: 'no circle', config: circle, metadata: { ss_perimeter: '[]' }, to: failure('Perimeter is no circle: []') },
  // files without perimeterKeyName
  { name: 'old polygon', config: old, metadata: { perimeter: SQUARE }, to: 'True' },
  {
    name: 'old circle, whatever the type',
    config: old,
    metadata: { centerLatitude: '48.5', centerLongitude: '16.5', range: '1', rangeUnit: 'KILOMETER' },
    to: 'True',
  },
  { name: 'old, none', config: old, to: failure('Missing perimeter definition!') },
  {
    name: 'old circle without a unit',
    config: old,
    metadata: { centerLatitude: '1', centerLongitude: '1', range: '1' },
    to: failure('Unknown unit of range: null'),
  },
] as { name: string; config?: Record<string, unknown>; data?: unknown; metadata?: Record<string, string>; to: unknown }[])
  test(`gps geofencing filter: ${name}`, async () => assert.deepEqual(await run(gpsGeofencing, [message({ data, metadata })], { config }), [to]));

for (const data of ['', 'text', '{'])
  test(`gps geofencing filter: data ${JSON.stringify(data)} is a failure`, async () =>
    assert.equal(((await run(gpsGeofencing, [message({ data })], { config: polygon }))[0] as { to: string }).to, 'Failure'));

test('gps geofencing filter: files without the newer keys run', async () => {
  const exact = { latitudeKeyName: 'latitude', longitudeKeyName: 'longitude', ...VIENNA, range: 100, rangeUnit: 'KILOMETER' };
  assert.deepEqual(await run(gpsGeofencing, [message({ data: bratislava })], { exact }), ['True']);
});

for (const config of [{ perimeterType: 'SQUARE' }, { rangeUnit: 'YARD' }, { range: 'wide' }])
  test(`gps geofencing filter: unusable with ${JSON.stringify(config)}`, () =>
    assert.rejects(start(gpsGeofencing, { config }), /^Error: Can't convert value: /));
