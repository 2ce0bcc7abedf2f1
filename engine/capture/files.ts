import { appendFile, mkdir, readdir, readFile, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText } from '#engine/errors.ts';
import { groupsOf, type Lines, RING_SEGMENTS, type RingName, type SegmentLimits, type Segments } from './segments.ts';

export interface FileSegmentsOptions extends SegmentLimits {
  readonly folder: string;
  readonly now: () => number;
  readonly log: { warn(details: object, text: string): void };
}

interface Segment {
  readonly path: string;
  bytes: number;
  /** Last written, Unix ms. */
  to: number;
}

interface Ring {
  readonly owner: string;
  readonly segments: Segment[];
  bytes: number;
  /** Its last segment is of this process: what an earlier one left unfinished is not continued. */
  isOpen: boolean;
}

interface Tenant {
  readonly rings: Map<string, Ring>;
  bytes: number;
}

const NAME = /^([^~]+)~([^~]+)~(\d+)\.log$/;
const PROBLEM_MS = 60_000;

/**
 * A folder per tenant, some files per ring, appended to and removed whole. Nothing is synced to the disk: a crash of the machine loses what the system had not
 * written yet, a crash of the process nothing that was appended. @param folder made when it is needed.
 */
export async function openFileSegments({ folder, ringBytes, tenantBytes, now, log }: FileSegmentsOptions): Promise<Segments> {
  const segmentBytes = Math.max(1, Math.floor(ringBytes / RING_SEGMENTS));
  const tenants = await scan(folder);
  let sequence = Math.max(
    0,
    ...[...tenants.values()].flatMap(({ rings }) => [...rings.values()].flatMap(({ segments }) => segments.map(sequenceOf))),
  );
  let toldAt = Number.NEGATIVE_INFINITY;
  /** One change after the other. */
  let tail: Promise<void> = Promise.resolve();

  const inTurn = (step: () => Promise<void>): Promise<void> => {
    tail = tail.then(step).catch((cause: unknown) => {
      if (now() - toldAt < PROBLEM_MS) return;
      toldAt = now();
      log.warn({ reason: errorText(cause) }, 'captured messages could not be written');
    });
    return tail;
  };

  function ringOf({ tenantId, owner, id }: RingName): { tenant: Tenant; ring: Ring } {
    let tenant = tenants.get(tenantId);
    if (!tenant) {
      tenant = { rings: new Map(), bytes: 0 };
      tenants.set(tenantId, tenant);
    }
    let ring = tenant.rings.get(id);
    if (!ring) {
      ring = { owner, segments: [], bytes: 0, isOpen: false };
      tenant.rings.set(id, ring);
    }
    return { tenant, ring };
  }

  async function drop(tenant: Tenant, ring: Ring): Promise<void> {
    const oldest = ring.segments.shift()!;
    ring.bytes -= oldest.bytes;
    tenant.bytes -= oldest.bytes;
    if (ring.segments.length === 0) ring.isOpen = false;
    await unlink(oldest.path).catch(ignoreMissing);
  }

  async function write({ ring: name, lines }: Lines): Promise<void> {
    const { tenant, ring } = ringOf(name);
    const room = ring.isOpen ? segmentBytes - ring.segments.at(-1)!.bytes : 0;
    for (const { text, bytes } of groupsOf(lines, room, segmentBytes)) {
      let last = ring.isOpen ? ring.segments.at(-1)! : null;
      if (!last || last.bytes + bytes > segmentBytes) {
        last = { path: join(folder, encode(name.tenantId), `${encode(name.owner)}~${encode(name.id)}~${++sequence}.log`), bytes: 0, to: 0 };
        if (ring.segments.length === 0) await mkdir(join(folder, encode(name.tenantId)), { recursive: true });
        ring.segments.push(last);
        ring.isOpen = true;
      }
      while (ring.bytes + bytes > ringBytes && ring.segments.length > 1) await drop(tenant, ring);
      while (tenant.bytes + bytes > tenantBytes && (await dropOldest(tenant, last)));
      await appendFile(last.path, text);
      last.bytes += bytes;
      last.to = now();
      ring.bytes += bytes;
      tenant.bytes += bytes;
    }
  }

  /** False: there is no other. */
  async function dropOldest(tenant: Tenant, except: Segment): Promise<boolean> {
    let oldest: Ring | null = null;
    for (const ring of tenant.rings.values()) {
      const first = ring.segments[0];
      if (first && first !== except && (!oldest || first.to < oldest.segments[0]!.to)) oldest = ring;
    }
    if (oldest) await drop(tenant, oldest);
    return oldest !== null;
  }

  return {
    append: (all) =>
      inTurn(async () => {
        for (const lines of all) await write(lines);
      }),
    async *read(tenantId, since) {
      await tail;
      const rings = [...(tenants.get(tenantId)?.rings.values() ?? [])];
      const segments = rings.flatMap((ring) => ring.segments).filter(({ to }) => to >= since);
      for (const { path } of segments.sort((a, b) => b.to - a.to || sequenceOf(b) - sequenceOf(a))) {
        const segment = await readFile(path).catch(ignoreMissing);
        if (segment) yield segment;
      }
    },
    remove: (tenantId, owner) =>
      inTurn(async () => {
        const tenant = tenants.get(tenantId);
        if (!tenant) return;
        for (const [id, ring] of tenant.rings) {
          if (owner !== undefined && ring.owner !== owner) continue;
          while (ring.segments.length > 0) await drop(tenant, ring);
          tenant.rings.delete(id);
        }
        if (tenant.rings.size > 0) return;
        tenants.delete(tenantId);
        await rm(join(folder, encode(tenantId)), { recursive: true, force: true });
      }),
    close: () => tail,
  };
}

/** What earlier processes left. */
async function scan(folder: string): Promise<Map<string, Tenant>> {
  const tenants = new Map<string, Tenant>();
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory()) continue;
    const tenant: Tenant = { rings: new Map(), bytes: 0 };
    tenants.set(decodeURIComponent(entry.name), tenant);
    for (const name of await readdir(join(folder, entry.name))) {
      const [, owner, id] = NAME.exec(name) ?? [];
      if (owner === undefined || id === undefined) continue;
      const path = join(folder, entry.name, name);
      const { size, mtimeMs } = await stat(path);
      const ringId = decodeURIComponent(id);
      const ring = tenant.rings.get(ringId) ?? { owner: decodeURIComponent(owner), segments: [], bytes: 0, isOpen: false };
      tenant.rings.set(ringId, ring);
      ring.segments.push({ path, bytes: size, to: Math.floor(mtimeMs) });
      ring.bytes += size;
      tenant.bytes += size;
    }
    for (const ring of tenant.rings.values()) ring.segments.sort((a, b) => sequenceOf(a) - sequenceOf(b));
  }
  return tenants;
}

/** `~` separates the parts of a name, and `..` is another folder. */
const encode = (id: string): string => encodeURIComponent(id).replaceAll('~', '%7E').replaceAll('.', '%2E');
const sequenceOf = ({ path }: Segment): number => Number(NAME.exec(path.slice(path.lastIndexOf('/') + 1))?.[3] ?? 0);

function ignoreMissing(cause: unknown): undefined {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
}
