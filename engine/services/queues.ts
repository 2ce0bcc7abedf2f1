import { NULL_ID } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Doc, Store } from '#engine/store.ts';
import { policyOf, type QueuePolicy, SKIPPING } from '#engine/walk/policy.ts';

/** What the named queues do with failures, in memory: the tenant's own go before the system's of the same name. */
export interface QueuePolicies {
  of(tenantId: string, name: string | null): QueuePolicy;
  start(): Promise<void>;
  close(): void;
}

export function openQueuePolicies({
  store,
  onChange,
  log,
}: {
  readonly store: Pick<Store, 'doc' | 'everyDoc'>;
  readonly onChange: Backend['onChange'];
  readonly log: { warn(details: object, text: string): void };
}): QueuePolicies {
  const byName = new Map<string, QueuePolicy>();
  const names = new Map<string, string>();

  const forget = (id: string): void => {
    byName.delete(names.get(id) ?? '');
    names.delete(id);
  };
  const keep = ({ id, tenantId, name, body }: Doc): void => {
    forget(id);
    names.set(id, `${tenantId}/${name}`);
    byName.set(`${tenantId}/${name}`, policyOf(name, (body['processingStrategy'] ?? {}) as Record<string, unknown>));
  };

  const close = onChange((changes) => {
    for (const { collection, tenantId, id, removed } of changes) {
      if (collection !== 'QUEUE') continue;
      if (removed) forget(id);
      else {
        void store.doc('QUEUE', tenantId, id).then(
          (doc) => doc && keep(doc),
          (cause: unknown) => log.warn({ err: cause, queue: id }, 'a changed queue could not be read; it goes on as it was'),
        );
      }
    }
  });

  return {
    of: (tenantId, name) => byName.get(`${tenantId}/${name ?? 'Main'}`) ?? byName.get(`${NULL_ID}/${name ?? 'Main'}`) ?? SKIPPING,
    async start() {
      for await (const queue of store.everyDoc('QUEUE')) keep(queue);
    },
    close,
  };
}
