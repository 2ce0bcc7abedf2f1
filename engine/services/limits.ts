import { NULL_ID } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Doc } from '#engine/store.ts';
import type { EntityCache } from './entities.ts';

/** What a tenant's profile says about the rule engine. */
export interface TenantLimits {
  /** Most nodes that may work on one message; 0: no limit. */
  readonly maxExecutions: number;
  /** How long telemetry is kept that names no time itself; 0: for ever. */
  readonly defaultTtlMs: number;
  /** Most of a kind that the tenant may have; 0: any number. */
  readonly maxEntities: { readonly DEVICE: number; readonly ASSET: number; readonly CUSTOMER: number };
}

export interface Limits {
  of(tenantId: string): TenantLimits | Promise<TenantLimits>;
  /** As last read by `of`; for where nothing can be awaited. */
  known(tenantId: string): TenantLimits;
  close(): void;
}

export const UNLIMITED: TenantLimits = { maxExecutions: 0, defaultTtlMs: 0, maxEntities: { DEVICE: 0, ASSET: 0, CUSTOMER: 0 } };
const DAY_MS = 86_400_000;

export function openLimits({ entities, onChange }: { readonly entities: Pick<EntityCache, 'get'>; onChange: Backend['onChange'] }): Limits {
  const fresh = new Map<string, TenantLimits>();
  const last = new Map<string, TenantLimits>();
  let changes = 0;
  const close = onChange((list) => {
    if (!list.some(({ collection }) => collection === 'TENANT' || collection === 'TENANT_PROFILE')) return;
    changes++;
    fresh.clear();
  });
  const read = async (tenantId: string): Promise<TenantLimits> => {
    const before = changes;
    const tenant = await entities.get('TENANT', tenantId, tenantId);
    const profileId = (tenant?.body['tenantProfileId'] as { id?: string } | null | undefined)?.id;
    const limits = limitsIn(profileId ? await entities.get('TENANT_PROFILE', NULL_ID, profileId) : null);
    last.set(tenantId, limits);
    if (before === changes) fresh.set(tenantId, limits);
    return limits;
  };
  return { of: (tenantId) => fresh.get(tenantId) ?? read(tenantId), known: (tenantId) => last.get(tenantId) ?? UNLIMITED, close };
}

function limitsIn(profile: Doc | null): TenantLimits {
  const configuration = (profile?.body['profileData'] as { configuration?: Record<string, unknown> } | null | undefined)?.configuration;
  const positive = (key: string): number => {
    const value = configuration?.[key];
    return typeof value === 'number' && value > 0 ? value : 0;
  };
  return {
    maxExecutions: positive('maxRuleNodeExecutionsPerMessage'),
    defaultTtlMs: positive('defaultStorageTtlDays') * DAY_MS,
    maxEntities: { DEVICE: positive('maxDevices'), ASSET: positive('maxAssets'), CUSTOMER: positive('maxCustomers') },
  };
}
