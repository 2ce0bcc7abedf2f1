import { setTimeout as sleep } from 'node:timers/promises';
import type { Observation } from './capture/observation.ts';
import type { Lease } from './cluster.ts';
import { AppError, Busy, errorText, isPassing } from './errors.ts';
import { newId } from './id.ts';
import type { Connection, Delivery, IntegrationInfo, RawDownlink } from './integration.ts';
import { debugs, type IntegrationEvents, shown } from './integration-events.ts';
import type { Metadata } from './message.ts';
import type { Backend } from './queue.ts';
import type { Script, ScriptEngine } from './script.ts';
import type { Statistics } from './statistics.ts';
import type { Downlink, DownlinkState } from './store.ts';
import { downlinkOutput } from './uplink/convert.ts';
import type { DebugSettings } from './walk/chain.ts';
import { Work } from './work.ts';

/** The downlink stage (design §1): what a rule node handed to an integration is converted and sent, or waits for the device's next uplink. */
export interface DownlinkDeps {
  readonly backend: Backend;
  readonly scripts: Pick<ScriptEngine, 'run'>;
  readonly events: IntegrationEvents;
  readonly statistics: Statistics;
  readonly observation?: Pick<Observation, 'capture'>;
  readonly now: () => number;
  readonly log: { error(fields: object, text: string): void };
  /** Named points at which fault tests end the process. */
  readonly onPoint?: (name: string) => void;
}

/** What the downlinks of one integration are converted by. */
export interface DownlinkRoute {
  readonly info: IntegrationInfo;
  readonly debug: DebugSettings | null;
  /** `integrationName` and `configuration.metadata`. */
  readonly metadata: Metadata;
  readonly converter: DownlinkConverter | null;
}

export interface DownlinkConverter {
  readonly id: string;
  readonly script: Script;
  readonly debug: DebugSettings | null;
}

/** A downlink after its converter: what to send, in order, or why not. */
export type Converted = { readonly ok: true; readonly parts: readonly RawDownlink[] } | { readonly ok: false; readonly reason: string };

export interface Downlinks {
  /** Sends what is to be sent now, until `signal` aborts: the connection is gone, or the integration stops. What became of it is stored under the connection's lease. */
  run(route: () => DownlinkRoute, connection: Connection, signal: AbortSignal, lease?: Lease | null): Promise<void>;
  /** One that waited, for the answer of an uplink with this metadata. Its debug events go into `work`. */
  convert(route: DownlinkRoute, downlink: Downlink, uplinkMetadata: Metadata, work: Work): Promise<Converted>;
  /** Its last states, with the count of the ledger and, when it failed, the dead letter. */
  end(route: DownlinkRoute, downlink: Downlink, states: readonly DownlinkState[], reason: string | null, work: Work): void;
  /** The debug event of what was sent. */
  sent(route: DownlinkRoute, part: RawDownlink, error: string | null, work: Work): void;
}

const BATCH = 64;
const RETRY_MS = 1000;
const LONGEST_RETRY_MS = 30_000;

export function createDownlinks(deps: DownlinkDeps): Downlinks {
  const { backend, scripts, events, statistics, now, log } = deps;
  const capture = deps.observation?.capture;
  /** For their journeys: what their converter gave, until they end. */
  const conversions = new WeakMap<Downlink, { readonly converted: Converted; readonly ms: number; readonly of: number; readonly since: number }>();

  async function convertAll(
    { info, debug, metadata, converter }: DownlinkRoute,
    downlinks: readonly Downlink[],
    extra: Metadata,
    work: Work,
  ): Promise<Converted[]> {
    const integrationMetadata = JSON.stringify({ ...metadata, ...extra });
    const at = now();
    if (!converter) return downlinks.map(() => ({ ok: false, reason: 'Downlink converter is not set' }));
    const metadataTexts = downlinks.map(({ message }) => JSON.stringify(message.metadata));
    const begin = performance.now();
    const results = await scripts.run(
      converter.script,
      downlinks.map(({ message }, i) => [message.data, metadataTexts[i]!, message.type, integrationMetadata]),
    );
    const since = performance.now();
    return results.map((result, i) => {
      const { message } = downlinks[i]!;
      let converted: Converted;
      if (!result.ok) converted = { ok: false, reason: result.fault.message };
      else {
        try {
          converted = { ok: true, parts: downlinkOutput(result.json) };
        } catch (cause) {
          converted = { ok: false, reason: errorText(cause) };
        }
      }
      if (capture) conversions.set(downlinks[i]!, { converted, ms: since - begin, of: downlinks.length, since });
      const error = converted.ok ? null : converted.reason;
      if (debugs(debug, error !== null, at)) {
        work.events.push(
          ...events.integration(info.tenantId, info.id, { type: message.type, message: message.data, messageType: message.dataType, error }, at),
        );
      }
      if (debugs(converter.debug, error !== null, at)) {
        const out = result.ok ? (result.json ?? '') : '';
        const event = {
          type: 'Downlink',
          in: message.data,
          inMessageType: message.dataType,
          out,
          outMessageType: 'JSON',
          metadata: metadataTexts[i]!,
          error,
        } as const;
        work.events.push(...events.converter(info.tenantId, converter.id, event, at));
      }
      return converted;
    });
  }

  function end(route: DownlinkRoute, downlink: Downlink, states: readonly DownlinkState[], reason: string | null, work: Work): void {
    const { info } = route;
    const at = now();
    const last = states.at(-1);
    for (const state of states) {
      work.downlinkMoves.push({
        tenantId: info.tenantId,
        integrationId: info.id,
        id: downlink.id,
        state,
        reason: state === last ? reason : null,
        ts: at,
      });
    }
    if (last === 'EXPIRED') work.count(info.tenantId, info.id, 'downlinks.expired');
    else if (last !== 'FAILED') work.count(info.tenantId, info.id, 'downlinks.sent');
    else {
      work.count(info.tenantId, info.id, 'downlinks.failed');
      work.deadLetters.push({
        id: newId(at),
        createdTime: at,
        tenantId: info.tenantId,
        owner: info.id,
        integrationId: info.id,
        stage: 'downlink',
        reason: reason ?? '',
        payload: Buffer.from(downlink.message.data),
        metadata: downlink.message.metadata,
        entity: downlink.entity,
        node: null,
        message: downlink.message,
      });
    }
    work.afterCommit(() => {
      statistics.count(info.id, 1, last === 'FAILED' ? 1 : 0);
      if (capture) remember(route, downlink, states, reason, at);
    });
  }

  function remember(
    { info, converter }: DownlinkRoute,
    downlink: Downlink,
    states: readonly DownlinkState[],
    reason: string | null,
    at: number,
  ): void {
    const conversion = conversions.get(downlink);
    const { converted } = conversion ?? {};
    capture?.downlink({
      ...{ downlink, integration: { id: info.id, name: info.name }, converterId: (conversion && converter?.id) ?? null, states, reason, at },
      ...{ convertMs: conversion?.ms ?? 0, of: conversion?.of ?? 1, ms: conversion ? performance.now() - conversion.since : 0 },
      parts: converted?.ok ? converted.parts : [],
      error: converted && !converted.ok ? converted.reason : null,
    });
  }

  function sent({ info, debug }: DownlinkRoute, part: RawDownlink, error: string | null, work: Work): void {
    const at = now();
    if (!debugs(debug, error !== null, at)) return;
    work.events.push(
      ...events.integration(
        info.tenantId,
        info.id,
        { type: 'Downlink', message: shown(part.data, part.contentType), messageType: part.contentType, error },
        at,
      ),
    );
  }

  /** Resolves with what has to be tried again, and why. */
  async function sendOne(route: DownlinkRoute, downlink: Downlink, converted: Converted, connection: Connection, work: Work): Promise<unknown> {
    if (!converted.ok) {
      end(route, downlink, ['FAILED'], converted.reason, work);
      return null;
    }
    if (converted.parts.length === 0) {
      end(route, downlink, ['CONVERTED', 'DELIVERED'], 'the converter returned nothing to send', work);
      return null;
    }
    let delivery: Delivery = 'delivered';
    for (const part of converted.parts) {
      try {
        if (!connection.send) throw new AppError('no-downlinks', 'never', 'This integration can not send');
        const confirmed = await connection.send(part, downlink.message);
        deps.onPoint?.('mid-downlink');
        if (confirmed === 'sent') delivery = 'sent';
        sent(route, part, null, work);
      } catch (cause) {
        if (cause instanceof AppError && cause.retry !== 'never') return cause;
        if (!(cause instanceof AppError)) log.error({ err: cause, integrationId: route.info.id }, 'downlink not sent');
        sent(route, part, errorText(cause), work);
        end(route, downlink, ['CONVERTED', 'FAILED'], errorText(cause), work);
        return null;
      }
    }
    end(route, downlink, delivery === 'sent' ? ['CONVERTED', 'SENT'] : ['CONVERTED', 'SENT', 'DELIVERED'], null, work);
    return null;
  }

  /** One taken batch. In order per device, side by side over devices. @returns why some were given back, null when all ended. */
  async function send(route: DownlinkRoute, taken: readonly Downlink[], connection: Connection, lease: Lease | null): Promise<unknown> {
    const at = now();
    const due = taken.filter(({ expiresAt }) => expiresAt > at);
    const works = new Map<string, Work>();
    const workOf = (id: string): Work => {
      const known = works.get(id);
      if (known) return known;
      const work = new Work();
      if (lease) work.leases.push(lease);
      works.set(id, work);
      return work;
    };
    for (const downlink of taken) if (downlink.expiresAt <= at) end(route, downlink, ['EXPIRED'], 'not sent in time', workOf(downlink.id));
    const byDevice = new Map<string, Downlink[]>();
    for (const downlink of due) byDevice.set(downlink.entity.id, [...(byDevice.get(downlink.entity.id) ?? []), downlink]);
    const eventWork = new Work();
    const converted = due.length > 0 ? await convertAll(route, due, {}, eventWork) : [];
    await backend.queue.settled();
    const conversionOf = new Map(due.map((downlink, i) => [downlink.id, converted[i]!]));
    const back: Downlink[] = [];
    let trouble: unknown = null;
    await Promise.all(
      Array.from(byDevice.values(), async (list) => {
        let held: unknown = null;
        for (const downlink of list) {
          held ??= await sendOne(route, downlink, conversionOf.get(downlink.id)!, connection, workOf(downlink.id));
          if (held) back.push(downlink);
        }
        trouble ??= held;
      }),
    );
    await store(route, taken, works, eventWork);
    // After the commit: what is given back is taken again at once.
    if (back.length > 0) backend.queue.releaseDownlinks(back);
    return trouble;
  }

  /** One commit for all; one by one when one of them is refused (it was deleted meanwhile). What is not durable is sent again: at least once. */
  async function store(route: DownlinkRoute, taken: readonly Downlink[], works: ReadonlyMap<string, Work>, eventWork: Work): Promise<void> {
    const ended = taken.filter(({ id }) => works.get(id)?.isEmpty === false);
    try {
      await backend.commit(merged([eventWork, ...works.values()]));
    } catch (cause) {
      if (isPassing(cause)) throw cause;
      for (const downlink of ended) {
        await backend.commit(works.get(downlink.id)!).catch((refusal: unknown) => {
          log.error({ err: refusal, integrationId: route.info.id, downlinkId: downlink.id }, 'state of a downlink not stored');
          backend.queue.releaseDownlinks([downlink]);
        });
      }
    }
  }

  return {
    async run(route, connection, signal, lease = null) {
      let failures = 0;
      while (!signal.aborted) {
        const taken = await backend.queue.takeDownlinks(route().info.id, BATCH, signal);
        if (!taken) return;
        let trouble: unknown;
        try {
          trouble = await send(route(), taken, connection, lease);
        } catch (cause) {
          if (!isPassing(cause)) log.error({ err: cause, integrationId: route().info.id }, 'downlinks not sent');
          // Nothing of what became of them is stored.
          backend.queue.releaseDownlinks(taken);
          trouble = cause;
        }
        if (!trouble) {
          failures = 0;
          continue;
        }
        const waitMs = trouble instanceof Busy ? trouble.afterMs : Math.min(RETRY_MS * 2 ** failures++, LONGEST_RETRY_MS);
        await sleep(waitMs, undefined, { signal }).catch(() => {}); // Aborted: the loop ends.
      }
    },
    async convert(route, downlink, uplinkMetadata, work) {
      return (await convertAll(route, [downlink], uplinkMetadata, work))[0]!;
    },
    end,
    sent,
  };
}

function merged(works: readonly Work[]): Work {
  const all = new Work();
  for (const work of works) {
    all.downlinkMoves.push(...work.downlinkMoves);
    all.deadLetters.push(...work.deadLetters);
    all.events.push(...work.events);
    for (const lease of work.leases) if (!all.leases.includes(lease)) all.leases.push(lease);
    for (const { tenantId, owner, counter, by } of work.counts.values()) all.count(tenantId, owner, counter, by);
    all.afterCommit(() => work.committed());
  }
  return all;
}
