import type { Downlink } from '#engine/store.ts';

/** What waits for one device or asset. */
export interface Slot {
  readonly count: number;
  /** All of them, where they are few and came while we were there; null: the file knows. */
  readonly known: readonly Downlink[] | null;
}

/** Downlinks of one slot in memory, at most. */
const MOST_KNOWN = 4;

/** Pending downlinks counted by integration, and by their slot in it: most uplinks ask one that is empty or well known, and then nothing is read. */
export class Slots {
  private readonly byIntegration = new Map<string, number>();
  private readonly slots = new Map<string, Slot>();
  /** Slots that the running transaction fills, not counted yet. One that was rolled back may stay: it costs a look into the file, no more. */
  private readonly filling = new Set<string>();

  pendingOf(integrationId: string): number {
    return this.byIntegration.get(integrationId) ?? 0;
  }

  get(integrationId: string, entityId: string): Slot | undefined {
    return this.slots.get(keyOf(integrationId, entityId));
  }

  /** Found in the file at the start. */
  load(integrationId: string, entityId: string, count: number): void {
    this.change(integrationId, entityId, count, () => null);
  }

  /** In the running transaction, before `added`. */
  fill(integrationId: string, entityId: string): void {
    this.filling.add(keyOf(integrationId, entityId));
  }

  added(downlink: Downlink): void {
    const { integrationId, entity } = downlink;
    this.filling.delete(keyOf(integrationId, entity.id));
    this.change(integrationId, entity.id, 1, (known) => [...known, downlink]);
  }

  removed(integrationId: string, entityId: string, downlinkId: string): void {
    this.change(integrationId, entityId, -1, (known) => known.filter(({ id }) => id !== downlinkId));
  }

  /** Is there, or may there be, one in the slot for which `isTaken` does not hold? */
  mayHaveFree(integrationId: string, entityId: string, isTaken: (id: string) => boolean): boolean {
    const slot = this.get(integrationId, entityId);
    return this.filling.has(keyOf(integrationId, entityId)) || (slot !== undefined && (slot.known?.some(({ id }) => !isTaken(id)) ?? true));
  }

  private change(integrationId: string, entityId: string, by: number, change: (known: readonly Downlink[]) => readonly Downlink[] | null): void {
    const pending = this.pendingOf(integrationId) + by;
    if (pending > 0) this.byIntegration.set(integrationId, pending);
    else this.byIntegration.delete(integrationId);
    const key = keyOf(integrationId, entityId);
    const slot = this.slots.get(key) ?? { count: 0, known: [] };
    const count = slot.count + by;
    if (count > 0) this.slots.set(key, { count, known: slot.known && count <= MOST_KNOWN ? change(slot.known) : null });
    else this.slots.delete(key);
  }
}

const keyOf = (integrationId: string, entityId: string): string => `${integrationId}/${entityId}`;
