import type { Backend } from '#engine/queue.ts';

const MOST_KNOWN = 50_000;

/**
 * Who has no active alarm. Most devices have none most of the time, and alarm rules would ask the store with every message whether there is one to clear.
 * What is known of a tenant holds until somebody creates an alarm there; in another process that may take a moment to be heard.
 */
export interface AlarmAbsence {
  /** @param key originator and type */
  has(tenantId: string, key: string): boolean;
  /** To be taken before the store is asked, and given to `note`. */
  moment(tenantId: string): number;
  note(tenantId: string, key: string, moment: number): void;
  close(): void;
}

interface Known {
  readonly absent: Set<string>;
  /** Alarms that were there before: a change of them makes none active. */
  readonly ids: Set<string>;
  created: number;
}

export function openAlarmAbsence(onChange: Backend['onChange']): AlarmAbsence {
  const tenants = new Map<string, Known>();
  const of = (tenantId: string): Known => {
    let known = tenants.get(tenantId);
    if (!known) {
      known = { absent: new Set(), ids: new Set(), created: 0 };
      tenants.set(tenantId, known);
    }
    return known;
  };
  const close = onChange((changes) => {
    for (const { collection, tenantId, id, removed } of changes) {
      const known = collection === 'ALARM' ? tenants.get(tenantId) : undefined;
      if (!known || removed || known.ids.has(id)) continue;
      add(known.ids, id);
      known.absent.clear();
      known.created++;
    }
  });
  return {
    close,
    has: (tenantId, key) => tenants.get(tenantId)?.absent.has(key) ?? false,
    moment: (tenantId) => of(tenantId).created,
    note(tenantId, key, moment) {
      const known = of(tenantId);
      if (known.created === moment) add(known.absent, key);
    },
  };
}

function add(set: Set<string>, value: string): void {
  if (set.size >= MOST_KNOWN) set.delete(set.values().next().value!);
  set.add(value);
}
