/** Messages and errors of integrations: hourly counts for the list view, and what is new since the last STATS event. */
export interface Statistics {
  count(integrationId: string, messages: number, errors: number): void;
  /** Messages of the last 24 hours, oldest first. */
  series(integrationId: string): readonly number[];
  /** What was counted since the last call, by integration; those without any are left out. */
  take(): ReadonlyMap<string, { readonly messagesProcessed: number; readonly errorsOccurred: number }>;
  forget(integrationId: string): void;
}

const HOUR_MS = 3_600_000;
const HOURS = 24;

interface Entry {
  readonly hours: number[];
  /** Of the last element of `hours`. */
  hour: number;
  messages: number;
  errors: number;
}

export function createStatistics(now: () => number): Statistics {
  const entries = new Map<string, Entry>();

  function at(integrationId: string): Entry {
    const hour = Math.floor(now() / HOUR_MS);
    let entry = entries.get(integrationId);
    if (!entry) {
      entry = { hours: Array<number>(HOURS).fill(0), hour, messages: 0, errors: 0 };
      entries.set(integrationId, entry);
    }
    for (let missed = Math.min(hour - entry.hour, HOURS); missed > 0; missed--) {
      entry.hours.shift();
      entry.hours.push(0);
    }
    entry.hour = hour;
    return entry;
  }

  return {
    count(integrationId, messages, errors) {
      const entry = at(integrationId);
      entry.hours[HOURS - 1]! += messages;
      entry.messages += messages;
      entry.errors += errors;
    },
    series: (integrationId) => (entries.has(integrationId) ? [...at(integrationId).hours] : Array<number>(HOURS).fill(0)),
    take() {
      const taken = new Map<string, { messagesProcessed: number; errorsOccurred: number }>();
      for (const [id, entry] of entries) {
        if (entry.messages + entry.errors === 0) continue;
        taken.set(id, { messagesProcessed: entry.messages, errorsOccurred: entry.errors });
        entry.messages = 0;
        entry.errors = 0;
      }
      return taken;
    },
    forget: (integrationId) => entries.delete(integrationId),
  };
}
