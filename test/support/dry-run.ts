import type { DryRunResult } from '#engine/walk/dry-run.ts';

/** Without ids that are made anew each time, entities by name. */
export function told(effects: DryRunResult['messages'][number]['effects']): unknown[] {
  return effects.map(({ nodeId: _node, chain: _chain, ...effect }) => {
    const shown: Record<string, unknown> = { ...effect };
    delete shown['id'];
    delete shown['messageId'];
    for (const key of ['entity', 'from', 'to', 'originator']) {
      const ref = shown[key] as { name: string } | undefined;
      if (ref) shown[key] = ref.name;
    }
    return shown;
  });
}

export const allEffects = ({ messages, timers }: DryRunResult): unknown[] => told([...messages, ...timers].flatMap(({ effects }) => effects));
export const outcomes = ({ messages }: DryRunResult): unknown[] => messages.map(({ journey }) => journey?.outcome ?? null);

/** What tests look at of an effect. */
export interface Shown {
  request?: Record<string, unknown>;
  customerId?: unknown;
  change?: unknown;
  type?: unknown;
  data?: unknown;
  metadata?: { ruleNodeId?: string };
}
