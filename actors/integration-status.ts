import type { Cluster } from '#engine/cluster.ts';
import type { IntegrationStatus } from '#engine/control.ts';
import { type IntegrationContext, warningsOf } from './integration.ts';
import type { IntegrationParts } from './integration-parts.ts';

type Told = Omit<IntegrationStatus, 'lastUplinkAt'>;

/** Why it rests whatever its configuration says; null: some process has to run it. */
export function restReason({ body }: Pick<IntegrationParts, 'body'>): string | null {
  if (body['enabled'] === false) return 'The integration is disabled';
  if (body['remote'] === true) return 'Runs in a remote process';
  if (body['edgeTemplate'] === true) return 'A template for edges';
  return null;
}

/** Of an integration that this process runs, or that nobody runs. */
export function ownStatus(value: unknown, context: IntegrationContext, warnings: Iterable<string>): Told {
  const state =
    value === 'planning' || value === 'closing' || value === 'closed' ? 'connecting' : value === 'ending' || value === 'stopped' ? 'disabled' : value;
  return {
    state: state as IntegrationStatus['state'],
    reason: context.reason,
    since: context.since,
    warnings: [...warningsOf(context), ...warnings],
    nextAttemptAt: context.nextAttemptAt,
  };
}

/**
 * Of an integration that another process runs: what that one told of it. Whether requests can be taken for it, this process knows itself.
 * @param knownAt since when this process has known it as it is, Unix ms.
 */
export function statusElsewhere(
  cluster: Pick<Cluster, 'holderOf' | 'noteOf'>,
  { info, definition, config, problem }: IntegrationParts,
  knownAt: number,
): Told {
  const holder = cluster.holderOf('integration', info.id);
  const note = holder && !holder.self ? (cluster.noteOf('integration', info.id) as Told | null) : null;
  if (problem === null && definition?.connect) {
    const reason = holder && !holder.self ? 'Another process has just begun with it' : 'No process with the role integrations runs it yet';
    return note ?? { state: 'connecting', reason, since: knownAt, warnings: [], nextAttemptAt: null };
  }
  const state = problem === null ? 'active' : 'failed';
  const warnings = problem === null ? (definition?.warnings?.(config) ?? []) : [];
  return { state, reason: problem, since: note?.state === state ? note.since : knownAt, warnings, nextAttemptAt: null };
}
