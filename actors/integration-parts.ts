import type { DownlinkConverter } from '#engine/downlinks.ts';
import type { AnyIntegration, IntegrationInfo } from '#engine/integration.ts';
import { debugSettingsOf } from '#engine/integration-events.ts';
import type { Metadata } from '#engine/message.ts';
import type { Script, ScriptLanguage } from '#engine/script.ts';
import type { Doc } from '#engine/store.ts';
import { updateOnlyKeys } from '#engine/uplink/convert.ts';
import type { UplinkConverter, UplinkTarget } from '#engine/uplink/work.ts';
import type { DebugSettings } from '#engine/walk/chain.ts';

/** A stored integration with its converters, in the form in which it runs. */
export interface IntegrationParts extends UplinkTarget {
  readonly doc: Doc;
  readonly body: Record<string, unknown>;
  readonly definition: AnyIntegration | null;
  /** Valid, with secrets open; null when there is a problem. */
  readonly config: unknown;
  /** Why it can not be used until it is edited. */
  readonly problem: string | null;
  readonly downlinkConverter: DownlinkConverter | null;
  readonly converterIds: readonly string[];
}

export interface Loaded {
  readonly definition: AnyIntegration | null;
  readonly config: unknown;
  readonly problem: string | null;
  readonly uplink: Doc | null;
  readonly downlink: Doc | null;
}

export function partsOf(doc: Doc, { definition, config, problem, uplink, downlink }: Loaded): IntegrationParts {
  const { body } = doc;
  const info: IntegrationInfo = { id: doc.id, tenantId: doc.tenantId, name: doc.name, routingKey: String(body['routingKey'] ?? doc.uniqueKey ?? '') };
  return {
    doc,
    body,
    definition,
    config,
    problem,
    info,
    allowCreate: body['allowCreateDevicesOrAssets'] !== false,
    debug: debugSettingsOf(body),
    metadata: { integrationName: doc.name, ...textsOf((body['configuration'] as Record<string, unknown> | undefined)?.['metadata']) },
    converter: uplink ? uplinkConverter(uplink) : null,
    downlinkConverter: downlink ? downlinkConverter(downlink) : null,
    converterIds: ['defaultConverterId', 'downlinkConverterId'].flatMap((key) => (body[key] as { id?: string } | null | undefined)?.id ?? []),
  };
}

/** `configuration.metadata` is the user's; what is no text becomes one. */
function textsOf(map: unknown): Metadata {
  if (typeof map !== 'object' || map === null) return {};
  return Object.fromEntries(
    Object.entries(map)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

const debugOf = (doc: Doc): DebugSettings | null => debugSettingsOf(doc.body);

/** Old exports have no `scriptLang`; the unused language's body may be null (specs: integrations §1.4). */
export function scriptOf(doc: Doc): Script {
  const configuration = (doc.body['configuration'] ?? {}) as Record<string, unknown>;
  const language: ScriptLanguage = configuration['scriptLang'] === 'TBEL' ? 'TBEL' : 'JS';
  const kind = doc.kind === 'DOWNLINK' ? 'downlink' : 'uplink';
  const key = kind === 'uplink' ? (language === 'JS' ? 'decoder' : 'tbelDecoder') : language === 'JS' ? 'encoder' : 'tbelEncoder';
  return { kind, language, body: typeof configuration[key] === 'string' ? configuration[key] : '' };
}

function uplinkConverter(doc: Doc): UplinkConverter {
  const configuration = (doc.body['configuration'] ?? {}) as Record<string, unknown>;
  const keys = configuration['updateOnlyKeys'];
  return {
    id: doc.id,
    script: scriptOf(doc),
    // A list of anything else was refused when it was saved; an imported one must not stop the messages.
    updateOnlyKeys: Array.isArray(keys) && keys.every((key) => typeof key === 'string') ? (updateOnlyKeys(keys) ?? []) : [],
    debug: debugOf(doc),
  };
}

const downlinkConverter = (doc: Doc): DownlinkConverter => ({ id: doc.id, script: scriptOf(doc), debug: debugOf(doc) });
