import { actionMessage, enqueueAction } from '#engine/actions.ts';
import {
  entityData,
  entityRef,
  MEMBERSHIP,
  nameKey,
  newAsset,
  newAssetProfile,
  newCustomer,
  newDevice,
  newDeviceProfile,
  newDeviceState,
  newGroup,
} from '#engine/entities.ts';
import { ConverterError } from '#engine/errors.ts';
import type { IntegrationInfo } from '#engine/integration.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Doc } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

/** Find or create (specs: integrations §2.4): a device or asset by its exact name in the tenant. What was found is never changed. */

export interface Wanted {
  readonly kind: 'DEVICE' | 'ASSET';
  readonly name: string;
  /** Name of the profile. */
  readonly type: string;
  readonly label: string | null;
  readonly customer: string | null;
  readonly group: string | null;
}

export interface Resolved {
  readonly ref: EntityRef;
  readonly name: string;
  readonly type: string;
  readonly customerId: string | null;
}

export interface Resolver {
  /** From memory: no promise, no read; undefined when `resolve` is needed. */
  known(integration: IntegrationInfo, wanted: Wanted): Resolved | undefined;
  /**
   * Reads, and puts what has to be created into `work`. One caller per tenant at a time creates; `settle` must be called when the work is committed or given up.
   * @throws ConverterError when creation is not allowed.
   */
  open(tenantId: string): Promise<Creation>;
}

export interface Creation {
  resolve(integration: IntegrationInfo, wanted: Wanted, allowCreate: boolean, work: Work): Promise<Resolved>;
  settle(committed: boolean): void;
}

interface Known extends Resolved {
  /** Integrations whose relation to it is stored. */
  readonly managers: Set<string>;
}

/** Devices and assets whose names are kept in memory; the oldest go first. */
const CACHED = 100_000;
const MANAGED = { type: 'ManagedByIntegration', typeGroup: 'COMMON' } as const;
const PROFILES = { DEVICE: 'DEVICE_PROFILE', ASSET: 'ASSET_PROFILE' } as const;

const keyOf = (tenantId: string, kind: string, name: string): string => `${tenantId}/${kind}/${name}`;

export function createResolver(backend: Backend, now: () => number): Resolver & { close(): void } {
  const { store } = backend;
  const byName = new Map<string, Known>();
  const byId = new Map<string, string>();
  const locks = new Map<string, Promise<void>>();
  /** Ids that changed while a creation is open: what it read of them is not kept. */
  const watchers = new Set<Set<string>>();

  const forget = backend.onChange((changes) => {
    for (const { collection, id } of changes) {
      if (collection !== 'DEVICE' && collection !== 'ASSET') continue;
      for (const changed of watchers) changed.add(id);
      const key = byId.get(id);
      if (key !== undefined) {
        byName.delete(key);
        byId.delete(id);
      }
    }
  });

  function keep(key: string, entry: Known): void {
    if (byName.size >= CACHED) {
      const [oldest, { ref }] = byName.entries().next().value!;
      byName.delete(oldest);
      byId.delete(ref.id);
    }
    byName.set(key, entry);
    byId.set(entry.ref.id, key);
  }

  async function lock(tenantId: string): Promise<() => void> {
    const before = locks.get(tenantId);
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = (before ?? Promise.resolve()).then(() => promise);
    locks.set(tenantId, mine);
    await before;
    return () => {
      resolve();
      if (locks.get(tenantId) === mine) locks.delete(tenantId);
    };
  }

  async function open(tenantId: string): Promise<Creation> {
    const unlock = await lock(tenantId);
    const changed = new Set<string>();
    watchers.add(changed);
    const found = new Map<string, Known>();
    const created = new Map<string, Known>();
    /** Profiles, customers and groups that this work creates, by collection and unique key. */
    const fresh = new Map<string, Doc>();

    async function findOrCreate(
      collection: 'DEVICE_PROFILE' | 'ASSET_PROFILE' | 'CUSTOMER' | 'ENTITY_GROUP',
      key: string,
      create: () => Doc,
      work: Work,
    ): Promise<Doc> {
      const known = fresh.get(collection + key);
      if (known) return known;
      const stored = await store.docByKey(collection, key);
      if (stored) return stored;
      const doc = create();
      fresh.set(collection + key, doc);
      work.docs.push({ doc });
      return doc;
    }

    async function create(integration: IntegrationInfo, wanted: Wanted, work: Work): Promise<Known> {
      const { kind, name, type, label } = wanted;
      const at = now();
      const profile = await findOrCreate(
        PROFILES[kind],
        nameKey(tenantId, type),
        () => (kind === 'DEVICE' ? newDeviceProfile(tenantId, type, at) : newAssetProfile(tenantId, type, at)),
        work,
      );
      const { customer: title, group: groupName } = wanted;
      const customer = title ? await findOrCreate('CUSTOMER', nameKey(tenantId, title), () => newCustomer(tenantId, title, at), work) : null;
      const fields = { tenantId, name, type, profileId: profile.id, label, customerId: customer?.id ?? null };
      let doc: Doc;
      if (kind === 'DEVICE') {
        const { device, credentials } = newDevice(fields, at);
        doc = device;
        work.docs.push({ doc: device }, { doc: credentials });
        work.attributes.push(newDeviceState(device));
      } else {
        doc = newAsset(fields, at);
        work.docs.push({ doc });
      }
      const ref = entityRef(doc);
      if (groupName) {
        const owner: EntityRef = customer ? entityRef(customer) : { entityType: 'TENANT', id: tenantId };
        const group = await findOrCreate(
          'ENTITY_GROUP',
          `${owner.id}/${kind}/${groupName}`,
          () => newGroup(tenantId, { type: kind, name: groupName, owner }, at),
          work,
        );
        work.relations.push({ tenantId, save: { from: entityRef(group), to: ref, ...MEMBERSHIP } });
      }
      work.relations.push({ tenantId, save: { from: managerOf(integration), to: ref, ...MANAGED } });
      enqueueAction(
        work,
        actionMessage({
          caller: null,
          tenantId,
          type: 'ENTITY_CREATED',
          originator: ref,
          data: entityData(doc),
          metadata: { integrationId: integration.id, integrationName: integration.name },
          customerId: customer?.id ?? null,
          now: at,
        }),
      );
      return { ref, name, type, customerId: customer?.id ?? null, managers: new Set([integration.id]) };
    }

    return {
      async resolve(integration, wanted, allowCreate, work) {
        const key = keyOf(tenantId, wanted.kind, wanted.name);
        const known = created.get(key) ?? found.get(key) ?? byName.get(key);
        if (known?.managers.has(integration.id)) return known;
        if (known === undefined) {
          const doc = await store.docByName(wanted.kind, tenantId, wanted.name);
          if (doc) {
            found.set(key, {
              ref: entityRef(doc),
              name: doc.name,
              type: doc.kind ?? wanted.type,
              customerId: doc.customerId ?? null,
              managers: new Set(),
            });
          } else {
            if (!allowCreate)
              throw new ConverterError(`${wanted.kind === 'DEVICE' ? 'Device' : 'Asset'} "${wanted.name}" is not found and creation is not allowed`);
            const entry = await create(integration, wanted, work);
            created.set(key, entry);
            return entry;
          }
        }
        const entry = known ?? found.get(key)!;
        const relation = { from: managerOf(integration), to: entry.ref, ...MANAGED };
        const stored = await store.relations(tenantId, relation);
        if (stored.length === 0) work.relations.push({ tenantId, save: relation });
        const managed = { ...entry, managers: new Set([...entry.managers, integration.id]) };
        found.set(key, managed);
        return managed;
      },
      settle(committed) {
        watchers.delete(changed);
        if (committed) {
          // Our own commit is among the changes; nobody else can have touched what it made.
          for (const [key, entry] of created) keep(key, entry);
          for (const [key, entry] of found) if (!changed.has(entry.ref.id)) keep(key, entry);
        }
        unlock();
      },
    };
  }

  return {
    known(integration, { kind, name }) {
      const entry = byName.get(keyOf(integration.tenantId, kind, name));
      return entry?.managers.has(integration.id) ? entry : undefined;
    },
    open,
    close: forget,
  };
}

const managerOf = ({ id }: IntegrationInfo): EntityRef => ({ entityType: 'INTEGRATION', id });
