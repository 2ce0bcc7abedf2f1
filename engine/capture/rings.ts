import type { RingName } from './segments.ts';

/** A ring as this process fills it. */
export interface Ring {
  readonly name: RingName;
  /** Estimated bytes of everything that was ever meant for it: what lies further back than the ring is long is not worth writing any more. */
  assigned: number;
  /** How much that was when the rings took their last turn. */
  before: number;
  /** And in the turn before that. */
  lately: number;
  /** Its node, integration or tenant was removed. */
  gone: boolean;
}

/** Removed ones that are remembered: what still comes of them is not kept. */
const MOST_REMOVED = 1000;
const SELDOM_PART = 16;

export class Rings {
  private readonly rings = new Map<string, Ring>();
  private readonly removed = new Set<string>();
  readonly ringBytes: number;

  constructor(ringBytes: number) {
    this.ringBytes = ringBytes;
  }

  of(tenantId: string, owner: string, id: string): Ring {
    let ring = this.rings.get(id);
    if (!ring) {
      ring = { name: { tenantId, owner, id }, assigned: 0, before: 0, lately: 0, gone: this.removed.has(owner) || this.removed.has(tenantId) };
      if (!ring.gone) this.rings.set(id, ring);
    }
    return ring;
  }

  /** @returns the mark of what was just meant for it: `wants` tells later whether it is still in the ring. */
  assign(ring: Ring, bytes: number): number {
    ring.assigned += bytes;
    return ring.assigned;
  }

  wants(ring: Ring, mark: number): boolean {
    return !ring.gone && ring.assigned - mark < this.ringBytes;
  }

  /** It gets so little that it is worth writing before anything else. */
  isSeldom({ assigned, before, lately }: Ring): boolean {
    return Math.max(lately, assigned - before) < this.ringBytes / SELDOM_PART;
  }

  /** A moment has passed. */
  turn(): void {
    for (const ring of this.rings.values()) {
      ring.lately = ring.assigned - ring.before;
      ring.before = ring.assigned;
    }
  }

  /** Of a chain, an integration or a tenant. */
  remove(id: string): void {
    this.removed.add(id);
    if (this.removed.size > MOST_REMOVED) this.removed.delete(this.removed.values().next().value!);
    for (const [ringId, ring] of this.rings) {
      if (ring.name.owner !== id && ring.name.tenantId !== id) continue;
      ring.gone = true;
      this.rings.delete(ringId);
    }
  }
}
