import assert from 'node:assert/strict';
import test from 'node:test';
import { areaOf, distance, type Point, type RangeUnit } from '#rulechains/shared/geo.ts';

const SQUARE: Point[] = [
  [0, 0],
  [0, 10],
  [10, 10],
  [10, 0],
];
const box = (from: number, to: number): Point[] => [
  [from, from],
  [from, to],
  [to, to],
  [to, from],
];
const pentagram = Array.from({ length: 5 }, (_, corner): Point => {
  const angle = (corner * 4 * Math.PI) / 5;
  return [10 * Math.cos(angle), 10 * Math.sin(angle)];
});

for (const { name, polygons, inside = [], outside = [] } of [
  {
    name: 'a square',
    polygons: [SQUARE],
    inside: [[5, 5]],
    outside: [
      [11, 5],
      [-1, 5],
      [5, -0.1],
    ],
  },
  {
    name: 'its border and corners are outside',
    polygons: [SQUARE],
    outside: [
      [0, 5],
      [10, 5],
      [5, 0],
      [5, 10],
      [0, 0],
      [10, 10],
    ],
  },
  { name: 'near the border', polygons: [SQUARE], inside: [[9.9999999, 5]], outside: [[10.0000001, 5]] },
  { name: 'a ring that is closed already', polygons: [[...SQUARE, SQUARE[0]!]], inside: [[5, 5]], outside: [[11, 5]] },
  { name: 'the other way round', polygons: [SQUARE.toReversed()], inside: [[5, 5]], outside: [[0, 5]] },
  {
    name: 'two points are a rectangle',
    polygons: [
      [
        [0, 0],
        [4, 2],
      ],
    ],
    inside: [[3, 1]],
    outside: [
      [3, 3],
      [4, 1],
    ],
  },
  {
    name: 'a triangle with a slanted border',
    polygons: [
      [
        [0, 0],
        [3, 1],
        [3, 0],
      ],
    ],
    inside: [[2, 0.5]],
    outside: [
      [1.5, 0.5],
      [1, 0.5],
    ],
  },
  { name: 'no corners', polygons: [[]], outside: [[0, 0]] },
  {
    name: 'a line has no inside',
    polygons: [
      [
        [0, 0],
        [5, 5],
        [10, 10],
      ],
    ],
    outside: [
      [5, 5],
      [2, 2],
    ],
  },
  {
    name: 'two polygons',
    polygons: [SQUARE, box(20, 30)],
    inside: [
      [5, 5],
      [25, 25],
    ],
    outside: [[15, 15]],
  },
  {
    name: 'two that overlap',
    polygons: [SQUARE, box(5, 15)],
    inside: [
      [5, 7],
      [7, 7],
      [12, 12],
      [9, 10],
      [10, 7],
    ],
    outside: [[12, 3]],
  },
  {
    name: 'where two meet is inside, but for the ends',
    polygons: [
      [
        [0, 0],
        [5, 10],
      ],
      [
        [5, 0],
        [10, 10],
      ],
    ],
    inside: [
      [5, 5],
      [2, 5],
    ],
    outside: [
      [5, 0],
      [5, 10],
    ],
  },
  {
    name: 'one inside another is a hole',
    polygons: [SQUARE, box(4, 6)],
    inside: [
      [2, 2],
      [3.9, 5],
    ],
    outside: [
      [5, 5],
      [4, 5],
      [6, 6],
      [11, 5],
    ],
  },
  { name: 'the order does not matter', polygons: [box(4, 6), SQUARE], inside: [[2, 2]], outside: [[5, 5]] },
  {
    name: 'an island in a hole is of the hole',
    polygons: [SQUARE, box(2, 8), box(4, 6)],
    inside: [[1, 1]],
    outside: [
      [3, 3],
      [5, 5],
    ],
  },
  {
    name: 'two holes',
    polygons: [SQUARE, box(1, 2), box(4, 6)],
    inside: [[3, 3]],
    outside: [
      [1.5, 1.5],
      [5, 5],
    ],
  },
  {
    name: 'a hole that touches the border',
    polygons: [
      SQUARE,
      [
        [0, 4],
        [2, 6],
      ],
    ],
    inside: [[5, 5]],
    outside: [
      [1, 5],
      [0, 5],
      [2, 5],
    ],
  },
  {
    name: 'a polygon in a notch is no hole',
    polygons: [
      [
        [0, 0],
        [10, 0],
        [10, 10],
        [6, 10],
        [6, 4],
        [4, 4],
        [4, 10],
        [0, 10],
      ],
      [
        [4.5, 6],
        [5.5, 8],
      ],
    ],
    inside: [
      [5, 7],
      [5, 2],
    ],
    outside: [
      [5, 5],
      [5, 9],
    ],
  },
  {
    name: 'a bow tie',
    polygons: [
      [
        [0, 0],
        [10, 10],
        [0, 10],
        [10, 0],
      ],
    ],
    inside: [
      [2, 1],
      [5, 8],
    ],
    outside: [
      [5, 5],
      [8, 5],
      [2, 5],
    ],
  },
  {
    name: 'a star is inside in its middle too',
    polygons: [pentagram],
    inside: [
      [0, 0],
      [9, 0],
      [3, 0],
    ],
    outside: [
      [-9, 0],
      [10, 0],
    ],
  },
] as { name: string; polygons: Point[][]; inside?: Point[]; outside?: Point[] }[])
  test(`area: ${name}`, () => {
    const area = areaOf(polygons);
    assert.deepEqual({ inside: inside.filter((point) => !area(point)), outside: outside.filter(area) }, { inside: [], outside: [] });
  });

for (const { name, polygons, error } of [
  { name: 'one corner', polygons: [[[1, 1]]], error: /Invalid number of points/ },
  { name: 'no polygon', polygons: [], error: /result of all polygons union is null/ },
  { name: 'too many corners to compare', polygons: [SQUARE, Array.from({ length: 6000 }, (_, i) => [i, i % 2])], error: /too many corners/ },
] as { name: string; polygons: Point[][]; error: RegExp }[])
  test(`area: ${name} is none`, () => assert.throws(() => areaOf(polygons), error));

test('area: many corners take no long time', () => {
  const circle = (radius: number): Point[] =>
    Array.from({ length: 2400 }, (_, i) => [radius * Math.cos((i * Math.PI) / 1200), radius * Math.sin((i * Math.PI) / 1200)]);
  const started = Date.now();
  const area = areaOf([circle(10), circle(5)]);
  assert.deepEqual([area([7, 0]), area([1, 1]), area([11, 0])], [true, false, false]);
  assert.ok(Date.now() - started < 3000);
});

const VIENNA: Point = [48.2082, 16.3738];
const BRATISLAVA: Point = [48.1486, 17.1077];
for (const [unit, expected] of Object.entries({
  METER: 54_817.882,
  KILOMETER: 54.818,
  FOOT: 179_848.7,
  MILE: 34.062,
  NAUTICAL_MILE: 29.5993,
}))
  test(`distance in ${unit}`, () => {
    const found = distance(VIENNA, BRATISLAVA, unit as RangeUnit);
    assert.ok(Math.abs(found - expected) < expected * 1e-5, String(found));
  });

test('distance: none, over the date line, and half around', () => {
  assert.equal(distance(VIENNA, VIENNA, 'METER'), 0);
  assert.ok(Math.abs(distance([0, 179.5], [0, -179.5], 'KILOMETER') - 111.195) < 0.01);
  assert.ok(Math.abs(distance([0, 0], [0, 180], 'KILOMETER') - Math.PI * 6371.0087714) < 1e-6);
});

for (const point of [
  [0, 181],
  [0, -181],
  [91, 0],
  [Number.NaN, 0],
] as Point[])
  test(`distance: ${point} is not on the earth`, () => assert.throws(() => distance(point, VIENNA, 'METER'), /Bad (longitude|latitude)/));
