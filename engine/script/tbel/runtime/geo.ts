import { readJson } from './json.ts';
import { numberArg, textArg } from './methods.ts';
import { fault, numberOf } from './values.ts';

/** Places on the Earth (specs: tbel §8.5). */

type Point = readonly [number, number];
const EARTH_METERS = 6_371_008.7714;
const UNITS: Readonly<Record<string, number>> = { METER: 1, KILOMETER: 1000, FOOT: 0.3048, MILE: 1609.344, NAUTICAL_MILE: 1852 };

export function insideCircle([lat, lon, circle]: readonly unknown[]): boolean {
  const given = readJson(textArg(circle));
  if (!(given instanceof Map)) return fault('The perimeter of a circle must be an object');
  const unit = UNITS[String(given.get('radiusUnit') ?? 'METER')] ?? fault(`Unknown unit: ${String(given.get('radiusUnit'))}`);
  const rad = Math.PI / 180;
  const [a, b] = [numberArg(lat) * rad, numberArg(given.get('latitude')) * rad];
  const half =
    Math.sin((b - a) / 2) ** 2 + Math.cos(a) * Math.cos(b) * Math.sin(((numberArg(given.get('longitude')) - numberArg(lon)) * rad) / 2) ** 2;
  return 2 * EARTH_METERS * Math.asin(Math.min(1, Math.sqrt(half))) < numberArg(given.get('radius')) * unit;
}

export function insidePolygon([lat, lon, polygon]: readonly unknown[]): boolean {
  const given = readJson(textArg(polygon));
  if (!Array.isArray(given) || given.length === 0) return fault('The perimeter of a polygon must be an array');
  const isPoint = (v: unknown): boolean => Array.isArray(v) && !Array.isArray(v[0]);
  const rings = given.every(isPoint) ? [given] : given;
  const at: Point = [numberArg(lat), numberArg(lon)];
  // In a hole of a polygon, or in an island of that hole: every ring turns it over.
  return rings.reduce<boolean>((inside, ring) => inside !== isInRing(at, pointsOf(ring)), false);
}

function pointsOf(ring: unknown): Point[] {
  if (!Array.isArray(ring)) return fault('A polygon must be an array of points');
  const points = ring.map(
    (point): Point => (Array.isArray(point) ? [numberOf(point[0]), numberOf(point[1])] : fault('A point must be [latitude, longitude]')),
  );
  if (points.length !== 2) return points;
  const [[a, b], [c, d]] = points as [Point, Point];
  return [
    [a, b],
    [a, d],
    [c, d],
    [c, b],
  ];
}

function isInRing([x, y]: Point, ring: readonly Point[]): boolean {
  let inside = false;
  for (let i = 0, k = ring.length - 1; i < ring.length; k = i++) {
    const [xi, yi] = ring[i]!;
    const [xk, yk] = ring[k]!;
    if (yi > y !== yk > y && x < ((xk - xi) * (y - yi)) / (yk - yi) + xi) inside = !inside;
  }
  return inside;
}
