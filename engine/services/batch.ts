import { enqueueAction } from '#engine/actions.ts';
import type { Control, Waiting } from '#engine/control.ts';
import { Rejected } from '#engine/errors.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { ScriptEngine } from '#engine/script.ts';
import type { Services } from '#engine/services.ts';
import type { Downlink, Store } from '#engine/store.ts';
import type { BatchHooks, ChainLookup } from '#engine/walk/run.ts';
import type { Work } from '#engine/work.ts';
import type { AlarmAbsence } from './alarm-absence.ts';
import { withAlarmEffects } from './alarm-effects.ts';
import { alarmServices, PendingAlarms } from './alarms.ts';
import { attributeServices, PendingAttributes } from './attributes.ts';
import { credentialServices } from './credentials.ts';
import { edgeServices } from './edges.ts';
import type { EntityCache } from './entities.ts';
import { groupServices } from './groups.ts';
import { inventoryServices } from './inventory.ts';
import { keptServices } from './kept.ts';
import type { Limits } from './limits.ts';
import { PendingDocs } from './pending-docs.ts';
import { relationServices } from './relations.ts';
import { settingsService } from './settings.ts';
import { PendingTelemetry, telemetryServices } from './telemetry.ts';
import type { EntityViews } from './views.ts';

/** How an integration wants its downlinks; `problem`: why it takes none. */
export interface DownlinkTarget {
  readonly delivery: 'now' | 'pending';
  readonly policy: 'last' | 'fifo';
  /** 0: they wait for ever. */
  readonly ttlMs: number;
  readonly problem: string | null;
}

export interface ServiceDeps {
  readonly store: Store;
  readonly entities: EntityCache;
  readonly views: EntityViews;
  /** Absent: every question goes to the store. */
  readonly noAlarms?: AlarmAbsence;
  readonly devices: Pick<Control['devices'], 'observed'>;
  readonly limits: Pick<Limits, 'known'>;
  readonly scripts: Pick<ScriptEngine, 'check' | 'run'>;
  readonly waiting: Pick<Waiting, 'notifyAttributes' | 'callDevice' | 'replyToDevice' | 'answerRpc' | 'answerRest'>;
  readonly chains: Pick<ChainLookup, 'get'>;
  /** A promise: it is not known here, perhaps because another process has saved it just now, and is looked for. */
  downlinkTarget(tenantId: string, integrationId: string): DownlinkTarget | null | Promise<DownlinkTarget | null>;
  newId(): string;
  now(): number;
  readonly log: { info(details: object, text: string): void };
}

/** The services of one batch: its writes are in one unit of work, its reads see them. */
export interface BatchServices {
  of(tenantId: string): Services;
  /** Something was taken back from the work. */
  forget(): void;
}

export const openBatchServices =
  (deps: ServiceDeps) =>
  (work: Work, hooks: BatchHooks): BatchServices => {
    const attributes = new PendingAttributes(work);
    const telemetry = new PendingTelemetry(work);
    const alarms = new PendingAlarms(work);
    const docs = new PendingDocs(work);
    const tenants = new Map<string, Services>();
    const build = (tenantId: string): Services => {
      const entities = deps.entities.of(tenantId, docs);
      const relations = relationServices(tenantId, work, deps.store);
      const inventory = inventoryServices(tenantId, work, docs, { ...deps, limits: () => deps.limits.known(tenantId) });
      const enqueue = (message: Message): void => {
        // Into the chain of its originator from the start, as a message that was nowhere before.
        const fresh = withChanges(message, { at: null, stack: [], effect: false, attempts: 0 });
        hooks.enqueued(fresh);
        enqueueAction(work, fresh);
      };
      const ownAttributes = attributeServices(tenantId, work, attributes, deps.store, (deviceId, change) =>
        hooks.afterCommit(() => deps.waiting.notifyAttributes(deviceId, { scope: 'SHARED_SCOPE', ...change })),
      );
      const ownAlarms = alarmServices(tenantId, work, alarms, { ...deps, entities, assignee: (userId) => assigneeOf(deps, tenantId, userId) });
      const ownTelemetry = telemetryServices(tenantId, work, telemetry, deps.store, {
        now: deps.now,
        defaultTtlMs: () => deps.limits.known(tenantId).defaultTtlMs,
      });
      return {
        ...waitingServices(deps, hooks),
        entities,
        attributes: ownAttributes,
        telemetry: ownTelemetry,
        snapshot: { attributes: ownAttributes.find, latest: ownTelemetry.latest },
        alarms: withAlarmEffects(ownAlarms, tenantId, work, { relations, noAlarms: deps.noAlarms, now: deps.now }),
        relations,
        groups: groupServices(tenantId, work, { store: deps.store, pending: docs, relations, inventory, enqueue, now: deps.now }),
        inventory,
        views: { of: (entity) => deps.views.of(tenantId, entity) },
        edges: edgeServices(tenantId, deps.store, entities),
        deviceState: { report: (deviceId, event, at) => deps.devices.observed(tenantId, deviceId, event, at) },
        credentials: credentialServices(tenantId, deps.store),
        ...keptServices(tenantId, work, deps),
        settings: settingsService(deps.store, tenantId),
        scripts: deps.scripts,
        messages: { enqueue, newId: deps.newId, now: deps.now },
        downlinks: { push: (integrationId, message) => pushDownlink(deps, work, tenantId, integrationId, message) },
        chains: {
          exists: (chainId) => deps.chains.get(tenantId, chainId) !== undefined,
          async defaultOf(entity) {
            const doc = entity.entityType === 'DEVICE' || entity.entityType === 'ASSET' ? await entities.find(entity) : null;
            return doc && (await deps.entities.defaultsOf(tenantId, entity, doc.body)).chainId;
          },
        },
        log: { info: (text) => deps.log.info({ tenant: tenantId }, text) },
      };
    };
    return {
      of(tenantId) {
        let services = tenants.get(tenantId);
        if (!services) {
          services = build(tenantId);
          tenants.set(tenantId, services);
        }
        return services;
      },
      forget() {
        attributes.forget();
        telemetry.forget();
        alarms.forget();
        docs.forget();
      },
    };
  };

/** Those who wait in this process get their answers when the batch is durable. */
const waitingServices = ({ waiting }: ServiceDeps, hooks: BatchHooks): Pick<Services, 'rpc' | 'rest'> => ({
  rpc: {
    call: (request) => waiting.callDevice(request),
    reply: (sessionId, requestId, data) => hooks.afterCommit(() => waiting.replyToDevice(sessionId, requestId, data)),
    complete: (requestUUID, answer) => hooks.afterCommit(() => waiting.answerRpc(requestUUID, answer)),
  },
  rest: { reply: (requestUUID, message) => hooks.afterCommit(() => waiting.answerRest(requestUUID, message.data)) },
});

async function pushDownlink(deps: ServiceDeps, work: Work, tenantId: string, integrationId: string, message: Downlink['message']): Promise<void> {
  const entity = message.originator;
  if (entity.entityType !== 'DEVICE' && entity.entityType !== 'ASSET')
    throw new Rejected(`Downlinks go to devices and assets, not to ${entity.entityType}`);
  const known = deps.downlinkTarget(tenantId, integrationId);
  const target = known instanceof Promise ? await known : known;
  if (!target) throw new Rejected(`Integration ${integrationId} is not known`);
  if (target.problem !== null) throw new Rejected(target.problem);
  const now = deps.now();
  work.downlinks.push({
    id: deps.newId(),
    createdTime: now,
    tenantId,
    integrationId,
    entity,
    delivery: target.delivery,
    policy: target.policy,
    expiresAt: target.ttlMs > 0 ? now + target.ttlMs : Number.MAX_SAFE_INTEGER,
    message: withChanges(message, { at: null, stack: [] }),
    state: 'QUEUED',
    history: [{ state: 'QUEUED', ts: now, reason: null }],
  });
  work.count(tenantId, integrationId, 'downlinks.created');
}

async function assigneeOf({ entities }: ServiceDeps, tenantId: string, userId: string): Promise<unknown> {
  const user = await entities.get('USER', tenantId, userId);
  if (!user) return null;
  const { firstName = null, lastName = null } = user.body;
  return { id: { entityType: 'USER', id: userId }, firstName, lastName, email: user.name };
}
