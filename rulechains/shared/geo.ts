/** Geometry of the geofencing nodes (specs: rule-nodes §3.2, "gps geofencing filter"). */

export type Point = readonly [latitude: number, longitude: number];

const EARTH_RADIUS_KM = 6371.0087714;
/** How many of the unit are a kilometre. */
const UNITS_PER_KM = { METER: 1000, KILOMETER: 1, FOOT: 3280.84, MILE: 0.62137, NAUTICAL_MILE: 0.539957 } as const;
export type RangeUnit = keyof typeof UNITS_PER_KM;
export const RANGE_UNITS = Object.keys(UNITS_PER_KM) as RangeUnit[];

/** Great-circle distance by the haversine formula. @throws Error when a point is not on the earth. */
export function distance(a: Point, b: Point, unit: RangeUnit): number {
  for (const [latitude, longitude] of [a, b]) {
    if (!(Math.abs(longitude) <= 180)) throw new Error(`Bad longitude ${longitude}: it is not between -180 and 180`);
    if (!(Math.abs(latitude) <= 90)) throw new Error(`Bad latitude ${latitude}: it is not between -90 and 90`);
  }
  if (a[0] === b[0] && a[1] === b[1]) return 0;
  const [latitudeA, longitudeA, latitudeB, longitudeB] = [...a, ...b].map((degrees) => (degrees * Math.PI) / 180) as [number, number, number, number];
  const sinX = Math.sin((longitudeA - longitudeB) / 2);
  const sinY = Math.sin((latitudeA - latitudeB) / 2);
  const h = Math.min(1, sinY * sinY + Math.cos(latitudeA) * Math.cos(latitudeB) * sinX * sinX);
  return 2 * Math.atan2(Math.sqrt(h), Math.sqrt(1 - h)) * EARTH_RADIUS_KM * UNITS_PER_KM[unit];
}

/** Says whether a point is inside; the border is outside. */
export type Area = (point: Point) => boolean;

/** A closed ring: the last point is the first. Its inside is where it winds around, so that a ring that crosses itself has one too. */
type Ring = readonly Point[];

/** Holes are found by comparing every edge with every other: more corners would hold the lane for too long. */
const MOST_CORNERS = 5000;

/**
 * The area of some polygons, planar: their union, without those that lie wholly inside another one (holes).
 * @param polygons each its corners, closed or not; two are opposite corners of a rectangle; none: no area.
 * @throws Error when one has a single corner, all lie in one another, or several have too many corners.
 */
export function areaOf(polygons: readonly (readonly Point[])[]): Area {
  const rings = polygons.map(closed);
  const corners = rings.reduce((sum, ring) => sum + ring.length, 0);
  if (rings.length > 1 && corners > MOST_CORNERS) throw new Error(`Polygons have too many corners: ${corners}, at most ${MOST_CORNERS} in all`);
  const holes = rings.filter((ring) => rings.some((other) => other !== ring && !isSame(other, ring) && holds(other, ring)));
  const solids = rings.filter((ring) => !holes.includes(ring));
  if (solids.length === 0) throw new Error('Error while calculating globalPolygon - the result of all polygons union is null');
  const isCovered = (point: Point): boolean =>
    solids.some((ring) => windings(ring, point) !== 0) && !holes.some((ring) => windings(ring, point) !== 0);
  return (point) => {
    const directions = directionsOfEdges(rings, point);
    if (directions.length === 0) return isCovered(point);
    // On an edge. It is no border when both sides are inside: where two polygons meet, or where a ring runs through its own inside.
    return sectors(directions).every((direction) => isCovered(beside(rings, point, direction)));
  };
}

function closed(corners: readonly Point[]): Ring {
  if (corners.length === 0) return [];
  if (corners.length === 1) throw new Error('Invalid number of points in LineString (found 1 - must be 0 or >= 2)');
  if (corners.length > 2) return [...corners, corners[0]!];
  const [a, c] = corners as [Point, Point];
  return [a, [a[0], c[1]], c, [c[0], a[1]], a];
}

const isSame = (a: Ring, b: Ring): boolean => a.length === b.length && a.every(([x, y], index) => x === b[index]![0] && y === b[index]![1]);

/** Positive: `point` is left of the line from a to b. */
const side = (a: Point, b: Point, point: Point): number => (b[0] - a[0]) * (point[1] - a[1]) - (point[0] - a[0]) * (b[1] - a[1]);

/** How often the ring goes around the point, counter-clockwise. The point is not on the ring. */
function windings(ring: Ring, point: Point): number {
  let count = 0;
  for (let i = 1; i < ring.length; i++) {
    const [a, b] = [ring[i - 1]!, ring[i]!];
    if (a[1] <= point[1]) {
      if (b[1] > point[1] && side(a, b, point) > 0) count++;
    } else if (b[1] <= point[1] && side(a, b, point) < 0) count--;
  }
  return count;
}

const isWithin = (value: number, a: number, b: number): boolean => value >= Math.min(a, b) && value <= Math.max(a, b);

const isOn = (a: Point, b: Point, point: Point): boolean =>
  isWithin(point[0], a[0], b[0]) && isWithin(point[1], a[1], b[1]) && side(a, b, point) === 0;

/** Angles at which edges leave the point: none when it is on no edge. */
function directionsOfEdges(rings: readonly Ring[], point: Point): number[] {
  const angles = new Set<number>();
  for (const ring of rings) {
    for (let i = 1; i < ring.length; i++) {
      if (!isOn(ring[i - 1]!, ring[i]!, point)) continue;
      for (const end of [ring[i - 1]!, ring[i]!])
        if (end[0] !== point[0] || end[1] !== point[1]) angles.add(Math.atan2(end[1] - point[1], end[0] - point[0]));
    }
  }
  return [...angles].sort((a, b) => a - b);
}

/** An angle in the middle between each two neighbours. */
const sectors = (angles: readonly number[]): number[] => angles.map((angle, index) => (angle + (angles[index + 1] ?? angles[0]! + 2 * Math.PI)) / 2);

/** A point so near that no edge lies between, except those that go through the point itself. */
function beside(rings: readonly Ring[], point: Point, angle: number): Point {
  let free = 1;
  for (const ring of rings) {
    for (let i = 1; i < ring.length; i++)
      if (!isOn(ring[i - 1]!, ring[i]!, point)) free = Math.min(free, distanceToEdge(ring[i - 1]!, ring[i]!, point));
  }
  // Not so near that it is rounded onto the point.
  const step = Math.max(Math.min(free / 2, 1e-4), 1e-12 * Math.max(1, Math.abs(point[0]), Math.abs(point[1])));
  return [point[0] + step * Math.cos(angle), point[1] + step * Math.sin(angle)];
}

function distanceToEdge(a: Point, b: Point, point: Point): number {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / length));
  return Math.hypot(point[0] - a[0] - along * dx, point[1] - a[1] - along * dy);
}

/** Is all of the inside of `inner` inside `outer`? Borders may touch. Looks beside each piece of the border of `inner`, where it is cut by edges of both. */
function holds(outer: Ring, inner: Ring): boolean {
  if (outer.length === 0 || inner.length === 0 || !isBoxInside(inner, outer)) return false;
  let hasInside = false;
  for (let i = 1; i < inner.length; i++) {
    const [a, b] = [inner[i - 1]!, inner[i]!];
    const cuts = [0, 1, ...cutsOf(a, b, outer), ...cutsOf(a, b, inner)].sort((x, y) => x - y);
    for (let piece = 1; piece < cuts.length; piece++) {
      const [from, to] = [cuts[piece - 1]!, cuts[piece]!];
      if (to - from < 1e-9) continue;
      const middle: Point = [a[0] + ((from + to) / 2) * (b[0] - a[0]), a[1] + ((from + to) / 2) * (b[1] - a[1])];
      const across = (to - from) * 1e-6;
      for (const sign of [1, -1]) {
        const probe: Point = [middle[0] - sign * across * (b[1] - a[1]), middle[1] + sign * across * (b[0] - a[0])];
        if (windings(inner, probe) === 0) continue;
        hasInside = true;
        if (windings(outer, probe) === 0) return false;
      }
    }
  }
  return hasInside;
}

function isBoxInside(inner: Ring, outer: Ring): boolean {
  for (const axis of [0, 1] as const) {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const point of outer) {
      low = Math.min(low, point[axis]);
      high = Math.max(high, point[axis]);
    }
    if (!inner.every((point) => point[axis] >= low && point[axis] <= high)) return false;
  }
  return true;
}

/** Where edges of the ring meet the line from a to b, as parts of its length between 0 and 1. */
function cutsOf(a: Point, b: Point, ring: Ring): number[] {
  const cuts: number[] = [];
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  for (let i = 1; i < ring.length; i++) {
    const [c, d] = [ring[i - 1]!, ring[i]!];
    const [ex, ey] = [d[0] - c[0], d[1] - c[1]];
    const cross = dx * ey - dy * ex;
    if (cross === 0) {
      // Parallel; on the same line its ends cut.
      if (length > 0 && side(a, b, c) === 0) for (const end of [c, d]) cuts.push(((end[0] - a[0]) * dx + (end[1] - a[1]) * dy) / length);
      continue;
    }
    const along = ((c[0] - a[0]) * ey - (c[1] - a[1]) * ex) / cross;
    const there = ((c[0] - a[0]) * dy - (c[1] - a[1]) * dx) / cross;
    if (there >= 0 && there <= 1) cuts.push(along);
  }
  return cuts.filter((cut) => cut > 0 && cut < 1);
}
