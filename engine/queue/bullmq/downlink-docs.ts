import type { EntityType } from '#engine/message.ts';
import type { Downlink, DownlinkState, DownlinkStep } from '#engine/store.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';

/** `downlinks`: one document for each, from QUEUED to its end and after it. */
export interface StoredDownlink {
  /** Of the downlink. */
  readonly _id: string;
  readonly tenantId: string;
  readonly integrationId: string;
  readonly entityType: EntityType;
  readonly entityId: string;
  readonly createdTime: number;
  readonly delivery: Downlink['delivery'];
  readonly policy: Downlink['policy'];
  readonly expiresAt: number;
  /** Which of two came first. */
  readonly seq: number;
  /** Who stored it. Its job may be missing when that process ended at once: whoever buries it adds the job again. */
  readonly member: string;
  readonly state: DownlinkState;
  readonly history: readonly DownlinkStep[];
  readonly message: string;
  /** Only while it is QUEUED or CONVERTED: what waits is found by indexes that hold nothing else. */
  readonly waiting?: true;
  /** The process that answers a device with it right now. */
  readonly claimedBy?: string | null;
  /** Number of that claim in its process. */
  readonly claim?: number;
  /** Its slot, while it is the last that wins there: unique, so that of two processes that fill a slot at the same time one sees the other. */
  readonly slot?: string;
}

/** To which states a downlink may go on. What waits no more is final, except that receipts follow a sent one. */
export const NEXT: Readonly<Record<DownlinkState, readonly DownlinkState[]>> = {
  QUEUED: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED', 'ACKNOWLEDGED', 'REPLACED', 'EXPIRED', 'FAILED'],
  CONVERTED: ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED', 'ACKNOWLEDGED', 'REPLACED', 'EXPIRED', 'FAILED'],
  SENT: ['DELIVERED', 'ACKNOWLEDGED', 'FAILED'],
  DELIVERED: ['ACKNOWLEDGED'],
  ACKNOWLEDGED: [],
  REPLACED: [],
  EXPIRED: [],
  FAILED: [],
};

export const isWaiting = (state: DownlinkState): boolean => state === 'QUEUED' || state === 'CONVERTED';

/** Where pending downlinks of one device or asset wait. */
export const slotOf = ({ integrationId, entityId }: Pick<StoredDownlink, 'integrationId' | 'entityId'>): string => `${integrationId}/${entityId}`;

/** Queues of BullMQ: one for each integration. */
export const queueOf = (integrationId: string): string => `downlinks-${integrationId}`;

/** Farther away a job is not due: its place in Redis has no room for the year 280000, and that it is due means no more than a look at its document. */
const FARTHEST_MS = 30 * 24 * 3_600_000;

/** When the job of a downlink is due: at once, or when what waits is over its time. */
export const dueAt = ({ delivery, expiresAt }: Pick<Downlink, 'delivery' | 'expiresAt'>, now: number): number | null =>
  delivery === 'now' ? null : Math.min(expiresAt, now + FARTHEST_MS);

export function toStored(downlink: Downlink, seq: number, member: string): StoredDownlink {
  const { id, createdTime, tenantId, integrationId, entity, delivery, policy, expiresAt, message, state, history } = downlink;
  const stored = {
    _id: id,
    tenantId,
    integrationId,
    entityType: entity.entityType,
    entityId: entity.id,
    createdTime,
    delivery,
    policy,
    expiresAt,
    seq,
    member,
    state,
    history,
    message: encodeMessage(message),
  };
  if (!isWaiting(state)) return stored;
  if (delivery === 'pending' && policy === 'last') return { ...stored, waiting: true, claimedBy: null, slot: slotOf(stored) };
  return { ...stored, waiting: true, claimedBy: null };
}

export const toDownlink = (stored: StoredDownlink): Downlink => ({
  id: stored._id,
  createdTime: stored.createdTime,
  tenantId: stored.tenantId,
  integrationId: stored.integrationId,
  entity: { entityType: stored.entityType, id: stored.entityId },
  delivery: stored.delivery,
  policy: stored.policy,
  expiresAt: stored.expiresAt,
  message: decodeMessage(stored.message),
  state: stored.state,
  history: stored.history,
});
