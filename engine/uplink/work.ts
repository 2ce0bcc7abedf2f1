import { ConverterError, errorText } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Accepted, IntegrationInfo, RawUplink } from '#engine/integration.ts';
import { debugs, type IntegrationEvents, shown } from '#engine/integration-events.ts';
import { createMessage, type Metadata } from '#engine/message.ts';
import type { Script, ScriptResult } from '#engine/script.ts';
import type { DebugSettings } from '#engine/walk/chain.ts';
import type { Work } from '#engine/work.ts';
import type { UplinkEntity } from './convert.ts';
import { uplinkOutput } from './convert.ts';
import type { Creation, Resolved, Resolver } from './resolve.ts';
import type { ChangedOnly } from './update-only.ts';

/** What uplinks of one integration are accepted by; replaced as a whole when the integration or its converter is saved. */
export interface UplinkTarget {
  readonly info: IntegrationInfo;
  readonly allowCreate: boolean;
  readonly debug: DebugSettings | null;
  /** `integrationName` and `configuration.metadata`. */
  readonly metadata: Metadata;
  /** null: it was deleted. */
  readonly converter: UplinkConverter | null;
}

export interface UplinkConverter {
  readonly id: string;
  readonly script: Script;
  readonly updateOnlyKeys: readonly string[];
  readonly debug: DebugSettings | null;
}

export interface UplinkItem {
  readonly uplink: RawUplink;
  /** Metadata as the converter gets it, JSON text. */
  readonly metadataJson: string;
  /** The dead letter that this item ends, when it is tried again. */
  readonly deadLetterId: string | null;
}

/** New messages of the batch after each item. */
export type MessageEnds = number[];

export interface UplinkWorkDeps {
  readonly target: UplinkTarget;
  readonly resolver: Resolver;
  readonly events: IntegrationEvents;
  readonly changedOnly: ChangedOnly;
  readonly now: number;
  readonly ends?: MessageEnds;
}

type Conversion = { readonly ok: true; readonly entities: readonly UplinkEntity[] } | { readonly ok: false; readonly reason: string };

function conversion(item: UplinkItem, result: ScriptResult | null, target: UplinkTarget): Conversion {
  const { problem, receivedAt } = item.uplink;
  if (problem !== undefined) return { ok: false, reason: problem };
  if (result === null) return { ok: false, reason: 'Uplink converter is not found' };
  if (!result.ok) return { ok: false, reason: result.fault.message };
  try {
    return { ok: true, entities: uplinkOutput(result.json, receivedAt, { exact: target.converter?.script.language === 'TBEL' }) };
  } catch (cause) {
    return { ok: false, reason: errorText(cause) };
  }
}

/**
 * Puts what a batch of conversion results stores into `work`, in order: messages into the lanes, created entities, dead letters, debug events, counts.
 * @returns what became of each item. A creation that was needed is added to `creations`; the caller settles it after the commit.
 */
export async function addUplinks(
  items: readonly UplinkItem[],
  results: readonly (ScriptResult | null)[],
  work: Work,
  creations: Creation[],
  deps: UplinkWorkDeps,
): Promise<Accepted[]> {
  const { target, now } = deps;
  const { tenantId, id } = target.info;
  const accepted: Accepted[] = [];
  let received = 0;
  let converted = 0;
  let empty = 0;
  let dead = 0;
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    const result = results[i]!;
    let outcome = conversion(item, result, target);
    if (outcome.ok && outcome.entities.length > 0) {
      try {
        let resolved = allKnown(outcome.entities, deps);
        if (!resolved) {
          if (creations.length === 0) creations.push(await deps.resolver.open(tenantId));
          resolved = await resolveAll(outcome.entities, creations[0]!, work, deps);
        }
        addMessages(outcome.entities, resolved, item, work, deps);
        converted++;
        accepted.push({
          outcome: 'converted',
          entities: resolved.map(({ ref, name }) => ({ entityType: ref.entityType as 'DEVICE' | 'ASSET', id: ref.id, name })),
        });
      } catch (cause) {
        if (!(cause instanceof ConverterError)) throw cause;
        outcome = { ok: false, reason: cause.message };
      }
    } else if (outcome.ok) {
      empty++;
      accepted.push({ outcome: 'empty' });
    }
    if (!outcome.ok) {
      dead++;
      accepted.push({ outcome: 'dead', reason: outcome.reason });
      work.deadLetters.push({
        id: newId(now),
        createdTime: now,
        tenantId,
        owner: id,
        integrationId: id,
        stage: 'uplink',
        reason: outcome.reason,
        payload: item.uplink.payload,
        metadata: item.uplink.metadata,
        entity: null,
        node: null,
        message: null,
      });
    }
    if (item.deadLetterId === null) received++;
    else {
      work.deadLetterRemovals.push({ tenantId, id: item.deadLetterId });
      dead--;
    }
    addDebugEvents(item, result, outcome.ok ? null : outcome.reason, work, deps);
    deps.ends?.push(work.messages.length);
  }
  if (received) work.count(tenantId, id, 'uplinks.received', received);
  if (converted) work.count(tenantId, id, 'uplinks.converted', converted);
  if (empty) work.count(tenantId, id, 'uplinks.empty', empty);
  if (dead) work.count(tenantId, id, 'uplinks.dead', dead);
  return accepted;
}

function allKnown(entities: readonly UplinkEntity[], { resolver, target }: UplinkWorkDeps): Resolved[] | null {
  const resolved: Resolved[] = [];
  for (const entity of entities) {
    const known = resolver.known(target.info, entity);
    if (!known) return null;
    resolved.push(known);
  }
  return resolved;
}

async function resolveAll(entities: readonly UplinkEntity[], creation: Creation, work: Work, { target }: UplinkWorkDeps): Promise<Resolved[]> {
  const resolved: Resolved[] = [];
  // Without the permission nothing is put into the work before all of them were found; with it, none fails.
  for (const entity of entities) resolved.push(await creation.resolve(target.info, entity, target.allowCreate, work));
  return resolved;
}

/** Attributes one message, telemetry one, per entity of the output. */
function addMessages(entities: readonly UplinkEntity[], resolved: readonly Resolved[], item: UplinkItem, work: Work, deps: UplinkWorkDeps): void {
  const { target, changedOnly, now } = deps;
  const { tenantId, id: owner, name: integrationName } = target.info;
  const { receivedAt } = item.uplink;
  let created = 0;
  for (let i = 0; i < entities.length; i++) {
    const { ref, name, type, customerId } = resolved[i]!;
    const { attributes, telemetry } = changedOnly.filter(ref.id, entities[i]!, target.converter?.updateOnlyKeys);
    const metadata = (ts: number): Metadata =>
      ref.entityType === 'DEVICE'
        ? { deviceName: name, deviceType: type, ts: String(ts), integrationName }
        : { assetName: name, assetType: type, ts: String(ts), integrationName };
    const push = (messageType: string, data: string, ts: number) => {
      created++;
      work.messages.push(
        createMessage(
          { tenantId, owner, type: messageType, originator: ref, customerId, data, metadata: metadata(ts), ts: receivedAt },
          () => newId(now),
          now,
        ),
      );
    };
    if (attributes !== null) push('POST_ATTRIBUTES_REQUEST', attributes, receivedAt);
    if (telemetry.length === 1) push('POST_TELEMETRY_REQUEST', telemetryData(telemetry[0]!), telemetry[0]!.ts);
    else if (telemetry.length > 1) push('POST_TELEMETRY_REQUEST', `[${telemetry.map(stamped).join(',')}]`, receivedAt);
  }
  if (created) work.count(tenantId, owner, 'messages.created', created);
}

const stamped = ({ ts, valuesJson }: UplinkEntity['telemetry'][number]): string => `{"ts":${ts},"values":${valuesJson}}`;

/** A flat map, which scripts of chains read as `msg.temperature`; its ts is in the metadata. Keys that look like the stamped form need that form. */
function telemetryData(sample: UplinkEntity['telemetry'][number]): string {
  return sample.valuesJson.includes('"ts":') && sample.valuesJson.includes('"values":') ? stamped(sample) : sample.valuesJson;
}

function addDebugEvents(
  item: UplinkItem,
  result: ScriptResult | null,
  error: string | null,
  work: Work,
  { target, events, now }: UplinkWorkDeps,
): void {
  const { info, converter } = target;
  const { uplink } = item;
  if (debugs(target.debug, error !== null, now)) {
    const body = shown(uplink.payload, uplink.contentType);
    const { topic } = uplink.metadata;
    const message = topic === undefined ? body : JSON.stringify({ topic, payload: body });
    work.events.push(
      ...events.integration(
        info.tenantId,
        info.id,
        { type: 'Uplink', message, messageType: topic === undefined ? uplink.contentType : 'JSON', error },
        now,
      ),
    );
  }
  if (converter && result && debugs(converter.debug, error !== null, now)) {
    work.events.push(
      ...events.converter(
        info.tenantId,
        converter.id,
        {
          type: 'Uplink',
          in: shown(uplink.payload, uplink.contentType),
          inMessageType: uplink.contentType,
          out: result.ok ? (result.json ?? '') : '',
          outMessageType: 'JSON',
          metadata: uplink.hiddenMetadata?.length ? withoutHidden(item.metadataJson, uplink.hiddenMetadata) : item.metadataJson,
          error,
        },
        now,
      ),
    );
  }
}

function withoutHidden(metadataJson: string, hidden: readonly string[]): string {
  const metadata = JSON.parse(metadataJson) as Record<string, string>;
  for (const key of hidden) delete metadata[key];
  return JSON.stringify(metadata);
}
