import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { EntityRef } from '#engine/message.ts';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { type Finding, lintChain } from '#engine/walk/lint.ts';
import { nodes } from '#rulechains/index.ts';
import { CliError, type Client, EXIT } from './client.ts';

const CALL_NODE = 'org.thingsboard.rule.engine.flow.TbRuleChainInputNode';
type Raw = Record<string, unknown>;

/** One rule chain of a file. */
export interface Chain {
  readonly file: string;
  /** Of an export of many chains, else null. */
  readonly id: string | null;
  readonly name: string;
  readonly json: unknown;
  /** Why it could not be read. */
  readonly fault?: string;
}

export interface LintSettings {
  readonly json: boolean;
  /** Warnings fail too. */
  readonly strict: boolean;
  /** Where to look for the entities that configurations name. */
  readonly client: Client | null;
  readonly write?: (text: string) => unknown;
}

/** `fieldbridge chain lint FILE|DIR`. @returns the exit code: 0 no errors, 1 errors (or warnings, when strict) */
export async function lintChains(
  path: string,
  { json, strict, client, write = (text) => process.stdout.write(text) }: LintSettings,
): Promise<number> {
  const chains = filesOf(path).flatMap(chainsOf);
  const scripts = openScriptEngine();
  const found: (Finding & { file: string; chain: string })[] = [];
  try {
    const own = new Set(chains.map(({ id }) => id));
    const exists = async (entity: EntityRef): Promise<boolean | null> => (own.has(entity.id) ? true : client && existsOn(client, entity));
    const options = { nodes: new Registry(nodes), scripts, exists };
    for (const { file, name, json: chain, fault } of chains) {
      const findings = fault === undefined ? await lintChain(chain, options) : [{ level: 'error', node: null, reason: fault } as const];
      for (const finding of findings) found.push({ file, chain: name, ...finding });
    }
  } finally {
    await scripts.close();
  }
  for (const { file, name, reason } of callCycles(chains)) found.push({ file, chain: name, level: 'warning', node: null, reason });
  const errors = found.filter(({ level }) => level === 'error').length;
  const warnings = found.length - errors;
  if (json) write(`${JSON.stringify({ errors, warnings, findings: found })}\n`);
  else {
    for (const { file, node, level, reason } of found) write(`${file}: ${node === null ? '' : `node "${node}": `}${level}: ${reason}\n`);
    write(
      `${chains.length} chain${chains.length === 1 ? '' : 's'}, ${errors} error${errors === 1 ? '' : 's'}, ${warnings} warning${warnings === 1 ? '' : 's'}\n`,
    );
  }
  return errors > 0 || (strict && warnings > 0) ? EXIT.failed : EXIT.good;
}

function filesOf(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw new CliError(`${path}: there is no such file or folder`, EXIT.usage);
  if (stats.isFile()) return [path];
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'));
  // Other JSON in the folder is none of ours.
  const chains = files.map((file) => join(path, file)).filter((file) => /"(ruleChain|ruleChains)"/.test(readFileSync(file, 'utf8')));
  if (chains.length === 0) throw new CliError(`${path}: no rule chain files (*.json with ruleChain and metadata)`, EXIT.usage);
  return chains.toSorted();
}

/** A file of one chain, or the export of many. */
export function chainsOf(file: string): Chain[] {
  let parsed: Raw;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8')) as Raw;
  } catch (cause) {
    return [{ file, id: null, name: file, json: null, fault: `Not JSON: ${cause instanceof Error ? cause.message : String(cause)}` }];
  }
  const { ruleChains, metadata } = parsed ?? {};
  if (!Array.isArray(ruleChains) || !Array.isArray(metadata)) return [chainOf(file, parsed)];
  return ruleChains.map((ruleChain: Raw, index) => {
    const id = idOf(ruleChain?.['id']);
    const graph = metadata.find((one: Raw) => id !== null && idOf(one?.['ruleChainId']) === id) ?? metadata[index];
    return chainOf(file, { ruleChain, metadata: graph });
  });
}

const idOf = (ref: unknown): string | null => {
  const id = (ref as { id?: unknown } | null | undefined)?.id;
  return typeof id === 'string' ? id : null;
};

function chainOf(file: string, json: Raw): Chain {
  const chain = json?.['ruleChain'] as Raw | undefined;
  return { file, id: idOf(chain?.['id']), name: String(chain?.['name'] ?? file), json };
}

/** Chains that call each other in a circle: a message in it stops only where it meets a node that already waits for it. */
function callCycles(chains: readonly Chain[]): { file: string; name: string; reason: string }[] {
  const byId = new Map(chains.flatMap((chain) => (chain.id === null ? [] : [[chain.id, chain] as const])));
  const calls = ({ json }: Chain): Chain[] => {
    const graph = (json as { metadata?: { nodes?: unknown } } | null)?.metadata?.nodes;
    return (Array.isArray(graph) ? graph : []).flatMap((node: Raw) => {
      const target = byId.get(String((node?.['configuration'] as Raw | null)?.['ruleChainId']));
      return node?.['type'] === CALL_NODE && target ? [target] : [];
    });
  };
  const cycles: { file: string; name: string; reason: string }[] = [];
  const told = new Set<Chain>();
  for (const start of byId.values()) {
    const seen = new Set<Chain>();
    if (told.has(start)) continue;
    const visit = (chain: Chain, path: readonly Chain[]): boolean =>
      calls(chain).some((next) => {
        if (next === start) {
          const circle = [...path, chain];
          for (const one of circle) told.add(one);
          const names = [...circle, start].map(({ name }) => `'${name}'`).join(' → ');
          cycles.push({ file: start.file, name: start.name, reason: `Chains call each other in a circle: ${names}` });
          return true;
        }
        if (seen.has(next)) return false;
        seen.add(next);
        return visit(next, [...path, chain]);
      });
    visit(start, []);
  }
  return cycles;
}

const PATHS: Readonly<Record<string, string>> = {
  ...{ RULE_CHAIN: 'ruleChain', DEVICE: 'device', ASSET: 'asset', CUSTOMER: 'customer', USER: 'user', DASHBOARD: 'dashboard', EDGE: 'edge' },
  ...{
    ENTITY_VIEW: 'entityView',
    INTEGRATION: 'integration',
    CONVERTER: 'converter',
    DEVICE_PROFILE: 'deviceProfile',
    ASSET_PROFILE: 'assetProfile',
  },
  ...{ ENTITY_GROUP: 'entityGroup' },
};

async function existsOn(client: Client, { entityType, id }: EntityRef): Promise<boolean> {
  const path = PATHS[entityType];
  if (!path) return true;
  try {
    await client.get(`/api/${path}/${id}`);
    return true;
  } catch (cause) {
    if (cause instanceof CliError && cause.exitCode === EXIT.failed) return false;
    throw cause;
  }
}
