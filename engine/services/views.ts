import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Doc, Store } from '#engine/store.ts';

const PAGE = 10_000;

/** Entity views by the entity that they show: nothing else in the store finds them by it. Of a tenant that asks, kept and followed from then on. */
export interface EntityViews {
  of(tenantId: string, entity: EntityRef): Promise<readonly Doc[]>;
  close(): void;
}

interface Known {
  readonly byId: Map<string, Doc>;
  readonly byEntity: Map<string, Set<string>>;
}

const shown = ({ body }: Doc): string | null => (body['entityId'] as EntityRef | null)?.id ?? null;

export function openEntityViews({ store, onChange }: { readonly store: Pick<Store, 'doc' | 'docs'>; onChange: Backend['onChange'] }): EntityViews {
  const tenants = new Map<string, Promise<Known>>();
  /** Views that changed since they were read, by tenant. */
  const changed = new Map<string, Set<string>>();

  const close = onChange((changes) => {
    for (const { collection, tenantId, id } of changes) {
      if (collection !== 'ENTITY_VIEW' || !tenants.has(tenantId)) continue;
      const ids = changed.get(tenantId);
      if (ids) ids.add(id);
      else changed.set(tenantId, new Set([id]));
    }
  });

  async function readAll(tenantId: string): Promise<Known> {
    const known: Known = { byId: new Map(), byEntity: new Map() };
    for (let page = 0; ; page++) {
      const { data, hasNext } = await store.docs('ENTITY_VIEW', tenantId, { page, pageSize: PAGE });
      for (const doc of data) put(known, doc.id, doc);
      if (!hasNext) return known;
    }
  }

  async function upToDate(tenantId: string): Promise<Known> {
    let reading = tenants.get(tenantId);
    if (!reading) {
      reading = readAll(tenantId);
      tenants.set(tenantId, reading);
      reading.catch(() => tenants.delete(tenantId));
    }
    const known = await reading;
    for (;;) {
      const [id] = changed.get(tenantId) ?? [];
      if (id === undefined) return known;
      changed.get(tenantId)!.delete(id);
      try {
        put(known, id, await store.doc('ENTITY_VIEW', tenantId, id));
      } catch (cause) {
        changed.get(tenantId)!.add(id);
        throw cause;
      }
    }
  }

  return {
    close,
    async of(tenantId, { id }) {
      const { byId, byEntity } = await upToDate(tenantId);
      return [...(byEntity.get(id) ?? [])].map((viewId) => byId.get(viewId)!);
    },
  };
}

function put({ byId, byEntity }: Known, id: string, doc: Doc | null): void {
  const before = byId.get(id);
  const entityBefore = before && shown(before);
  if (entityBefore) byEntity.get(entityBefore)?.delete(id);
  if (!doc) {
    byId.delete(id);
    return;
  }
  byId.set(id, doc);
  const entity = shown(doc);
  if (entity === null) return;
  const views = byEntity.get(entity);
  if (views) views.add(id);
  else byEntity.set(entity, new Set([id]));
}
