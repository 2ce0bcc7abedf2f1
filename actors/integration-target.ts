import type { IntegrationStatus } from '#engine/control.ts';
import type { DownlinkTarget } from '#engine/services/batch.ts';
import type { IntegrationParts } from './integration-parts.ts';

const DEFAULT_TTL_MS = 24 * 3_600_000;

/** What a rule node has to know of the integration that it hands a downlink to. */
export function downlinkTargetOf(
  { definition, config }: Pick<IntegrationParts, 'definition' | 'config'>,
  { state, reason }: Pick<IntegrationStatus, 'state' | 'reason'>,
): DownlinkTarget {
  const problem =
    state === 'disabled' || state === 'failed'
      ? (reason ?? state)
      : definition?.downlink
        ? null
        : `${definition?.label ?? 'This integration'} has no downlinks`;
  const { downlinkPolicy = 'last', downlinkTtlMinutes } = (config ?? {}) as { downlinkPolicy?: 'last' | 'fifo'; downlinkTtlMinutes?: number };
  return {
    delivery: definition?.downlink ?? 'now',
    policy: definition?.downlink === 'pending' ? downlinkPolicy : 'fifo',
    ttlMs: downlinkTtlMinutes ? downlinkTtlMinutes * 60_000 : DEFAULT_TTL_MS,
    problem,
  };
}
