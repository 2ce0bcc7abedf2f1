import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Script, ScriptArgs } from '#engine/script.ts';

/** One sample with what the converter must make of it. Exactly one of `args`, `skip` (why it is not run) and `fault` (why it can not be) is there. */
export interface ConverterCase {
  readonly name: string;
  readonly args?: ScriptArgs;
  readonly expected?: unknown;
  readonly skip?: string;
  readonly fault?: string;
}

export interface ConverterCases {
  /** Path of the script below the folder. */
  readonly name: string;
  readonly script: Script;
  readonly cases: readonly ConverterCase[];
}

/**
 * The converters below a folder, with their cases, in order of path. Two layouts, recognised folder by folder:
 * - ours: `uplink.js`, `downlink.js` (or `.tbel`) and `cases/*.json`;
 * - the public device catalogue (specs: integrations §1.5): `uplink/` and `downlink/` with `converter.json`, `payload*`, `metadata*.json`, `result*.json`.
 */
export function findConverters(root: string): ConverterCases[] {
  const found: ConverterCases[] = [];
  const visit = (dir: string): void => {
    const entries = readdirSync(dir, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    if (files.includes('converter.json')) found.push(catalogueConverter(root, dir, files));
    found.push(...ownConverters(root, dir, files));
    for (const entry of entries)
      if (entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.')) visit(join(dir, entry.name));
  };
  visit(root);
  return found;
}

/** Text of a file, without the mark that some editors put before it. */
const readText = (path: string): string => readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
const readJson = (path: string): unknown => JSON.parse(readText(path));
const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

// ---- ours ----

interface OwnCase {
  payload?: string;
  text?: string;
  json?: unknown;
  msg?: unknown;
  metadata?: object;
  msgType?: string;
  integrationMetadata?: object;
  result?: unknown;
}

function ownConverters(root: string, dir: string, files: readonly string[]): ConverterCases[] {
  const scripts = (['uplink', 'downlink'] as const).flatMap((kind) => {
    const language = files.includes(`${kind}.js`) ? 'JS' : files.includes(`${kind}.tbel`) ? 'TBEL' : null;
    return language === null ? [] : [{ kind, language, body: readText(join(dir, `${kind}.${language === 'JS' ? 'js' : 'tbel'}`)) } satisfies Script];
  });
  if (scripts.length === 0) return [];
  const folder = join(dir, 'cases');
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .sort()
    : [];
  return scripts.map((script) => {
    const cases = names.flatMap((name) => ownCase(script.kind, join(folder, name), relative(root, join(folder, name))));
    const name = relative(root, join(dir, `${script.kind}.${script.language.toLowerCase()}`));
    return { name, script, cases: cases.length > 0 ? cases : [noCases(relative(root, join(dir, script.kind)))] };
  });
}

const noCases = (name: string): ConverterCase => ({ name, skip: 'no cases' });

/** A case with `msg` is one of the downlink converter, any other one of the uplink converter. */
function ownCase(kind: 'uplink' | 'downlink', path: string, name: string): ConverterCase[] {
  try {
    const each = readJson(path) as OwnCase;
    if ((each.msg !== undefined) !== (kind === 'downlink')) return [];
    if (each.result === undefined) return [{ name, fault: 'the case has no result' }];
    const metadata = JSON.stringify(each.metadata ?? {});
    if (kind === 'uplink') return [{ name, args: [ownPayload(each), metadata], expected: each.result }];
    const args = [
      JSON.stringify(each.msg),
      metadata,
      each.msgType ?? 'POST_TELEMETRY_REQUEST',
      JSON.stringify(each.integrationMetadata ?? {}),
    ] as const;
    return [{ name, args, expected: each.result }];
  } catch (cause) {
    // Whose case it was can not be told: the uplink converter's, so that it is told once.
    return kind === 'uplink' || !existsSync(join(path, '../../uplink.js')) ? [{ name, fault: `not a case: ${reasonOf(cause)}` }] : [];
  }
}

function ownPayload({ payload, text, json }: OwnCase): Buffer {
  if (typeof payload === 'string') {
    const hex = payload.replaceAll(/\s/g, '');
    if (!/^(?:[0-9a-f]{2})*$/i.test(hex)) throw new Error('payload is not hex');
    return Buffer.from(hex, 'hex');
  }
  if (typeof text === 'string') return Buffer.from(text);
  if (json !== undefined) return Buffer.from(JSON.stringify(json));
  throw new Error("one of 'payload' (hex), 'text' and 'json' is needed");
}

// ---- the public device catalogue ----

interface ConverterFile {
  type?: string;
  configuration?: {
    scriptLang?: string;
    decoder?: string | null;
    tbelDecoder?: string | null;
    encoder?: string | null;
    tbelEncoder?: string | null;
  } | null;
}

/** The sample's number, `''` for the plain one: `payload_02.json` belongs to `result_02.json`. */
const SAMPLE = /^(payload|result|metadata)(_\w+)?\.(json|txt|base64)$/;

function catalogueConverter(root: string, dir: string, files: readonly string[]): ConverterCases {
  const name = relative(root, dir) || '.';
  let script: Script;
  try {
    script = catalogueScript(readJson(join(dir, 'converter.json')) as ConverterFile, dir);
  } catch (cause) {
    return { name, script: { kind: 'uplink', language: 'JS', body: '' }, cases: [{ name, fault: `converter.json: ${reasonOf(cause)}` }] };
  }
  const samples = new Map<string, Map<string, string>>();
  for (const file of files) {
    const [, part, number = '', format] = SAMPLE.exec(file) ?? [];
    if (part === undefined || part === 'metadata') continue;
    const sample = samples.get(number) ?? new Map<string, string>();
    samples.set(number, sample);
    // Some samples are there in several forms; JSON is the one that the others were made from.
    if (format === 'json' || !sample.has(part)) sample.set(part, file);
  }
  const cases = [...samples].map(([number, sample]) => catalogueCase(script, dir, join(name, `payload${number}`), number, sample));
  return { name, script, cases: cases.length > 0 ? cases : [noCases(name)] };
}

function catalogueScript({ type, configuration }: ConverterFile, dir: string): Script {
  if (typeof configuration !== 'object' || configuration === null) throw new Error('there is no configuration');
  const isDownlink = type === 'DOWNLINK' || (type === undefined && dir.endsWith('downlink'));
  const [js, tbel] = isDownlink ? [configuration.encoder, configuration.tbelEncoder] : [configuration.decoder, configuration.tbelDecoder];
  const language = configuration.scriptLang === 'TBEL' || (configuration.scriptLang === undefined && !js && tbel) ? 'TBEL' : 'JS';
  return { kind: isDownlink ? 'downlink' : 'uplink', language, body: (language === 'TBEL' ? tbel : js) ?? '' };
}

function catalogueCase(script: Script, dir: string, name: string, number: string, sample: ReadonlyMap<string, string>): ConverterCase {
  const payloadFile = sample.get('payload');
  const resultFile = sample.get('result');
  if (payloadFile === undefined) return { name, skip: 'a result without a payload' };
  if (resultFile === undefined) return { name, skip: 'a payload without a result' };
  try {
    const metadataFile = [`metadata${number}.json`, 'metadata.json'].map((file) => join(dir, file)).find((file) => existsSync(file));
    const metadata = metadataFile === undefined ? '{}' : readText(metadataFile);
    const text = readText(join(dir, payloadFile));
    const expected = readJson(join(dir, resultFile));
    if (script.kind === 'downlink') return { name, args: [text, metadata, 'POST_TELEMETRY_REQUEST', '{}'], expected };
    return { name, args: [payloadFile.endsWith('.base64') ? Buffer.from(text, 'base64') : Buffer.from(text), metadata], expected };
  } catch (cause) {
    return { name, fault: reasonOf(cause) };
  }
}
