import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { newDoc } from '#engine/entities.ts';
import { ConfigError, errorText } from '#engine/errors.ts';
import { isUuid } from '#engine/id.ts';
import { isJsonObject, parseJson } from '#engine/json.ts';
import { Registry } from '#engine/registry.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { ScriptEngine } from '#engine/script.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import type { Doc } from '#engine/store.ts';
import type { ChainMetadata } from '#engine/walk/chain.ts';
import { parseDryText, readDryRequest } from '#engine/walk/dry/request.ts';
import { type DryRunResult, dryRun, LIMITS } from '#engine/walk/dry-run.ts';
import { checkGraph, readChainFile } from '#engine/walk/graph.ts';
import { nodes as nodeTypes } from '#rulechains/index.ts';
import { type Expectation, judge } from './chain-expect.ts';
import { type Chain, chainsOf } from './chain-lint.ts';
import { TENANT_ID, World } from './chain-world.ts';
import { type CaseOutcome, conclude } from './test.ts';

type Raw = Record<string, unknown>;
const NODES = new Registry(nodeTypes);
const CASE_KEYS = ['description', 'chain', 'chains', 'now', 'world', 'message', 'messages', 'answers', 'outcome', 'effects'];
const NO_LIMIT = { delivery: 'now', policy: 'last', ttlMs: 0, problem: null } as const;

interface Folder {
  readonly path: string;
  readonly chains: readonly Chain[];
  readonly cases: readonly string[];
}

/**
 * `fieldbridge chain test DIR`: every `cases/*.json` beside a chain file is walked through it, over a world that the case describes.
 * @returns the exit code: 0 all passed or skipped, 1 some failed, 2 nothing to test there.
 */
export async function testChains(dir: string, { json = false, write = (text: string): unknown => process.stdout.write(text) } = {}): Promise<number> {
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    process.stderr.write(`${dir} is no folder\n`);
    return 2;
  }
  const folders = findFolders(dir);
  if (folders.length === 0) {
    process.stderr.write(`No rule chains below ${dir}: no *.json with ruleChain and metadata\n`);
    return 2;
  }
  const scripts = openScriptEngine();
  const outcomes: CaseOutcome[] = [];
  try {
    for (const folder of folders) {
      if (folder.cases.length === 0) outcomes.push({ name: relative(dir, folder.path) || '.', outcome: 'skipped', reasons: ['no cases'] });
      for (const path of folder.cases) {
        const reasons = await runCase(path, folder, scripts).catch((cause: unknown) => [`not a case: ${reasonOf(cause)}`]);
        outcomes.push({ name: relative(dir, path), outcome: reasons.length > 0 ? 'failed' : 'passed', reasons });
      }
    }
  } finally {
    await scripts.close();
  }
  return conclude(outcomes, json, write);
}

const reasonOf = (cause: unknown): string => (cause instanceof ConfigError ? cause.message : errorText(cause));

function findFolders(root: string): Folder[] {
  const found: Folder[] = [];
  const visit = (path: string): void => {
    const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.json')).map((entry) => join(path, entry.name));
    const chains = files.filter((file) => /"(ruleChain|ruleChains)"/.test(readFileSync(file, 'utf8'))).flatMap(chainsOf);
    if (chains.length > 0) found.push({ path, chains, cases: casesOf(join(path, 'cases')) });
    for (const entry of entries) {
      const isCases = entry.name === 'cases' && chains.length > 0;
      if (entry.isDirectory() && !isCases && entry.name !== 'node_modules' && !entry.name.startsWith('.')) visit(join(path, entry.name));
    }
  };
  visit(root);
  return found;
}

function casesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => join(folder, name));
}

/** @returns what is not as expected; nothing: it passed. @throws when the file is no case */
async function runCase(path: string, folder: Folder, scripts: ScriptEngine): Promise<string[]> {
  const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  const given = parseDryText(text);
  const exact = parseJson(text);
  if (!isJsonObject(exact)) throw new Error('it is no object');
  const fields = given as Raw;
  const unknown = Object.keys(fields).find((key) => !CASE_KEYS.includes(key));
  if (unknown !== undefined) throw new Error(`"${unknown}" is not known: ${CASE_KEYS.join(', ')}`);
  const { outcome, effects } = fields;
  if (!Array.isArray(effects)) throw new Error('the case has no effects: a list, [] for none');
  const now = typeof fields['now'] === 'number' ? fields['now'] : Date.now();
  const world = new World(exact['world'] ?? {}, now);
  const messages = (fields['messages'] ?? (fields['message'] === undefined ? [] : [fields['message']])) as unknown;
  const result = await walk({ fields, messages, world, now, folder, scripts });
  return judge({ outcome, effects } as Expectation, result);
}

interface CaseRun {
  readonly fields: Raw;
  readonly messages: unknown;
  readonly world: World;
  readonly now: number;
  readonly folder: Folder;
  readonly scripts: ScriptEngine;
}

async function walk({ fields, messages: list, world, now, folder, scripts }: CaseRun): Promise<DryRunResult> {
  const named = Array.isArray(list) ? list.map((message: unknown) => withIds(message, world)) : list;
  const { messages: read, answers } = readDryRequest({ ...fields, messages: named }, LIMITS.messages);
  const messages = read.map(({ source: { originator, deviceName }, ...message }) => ({
    ...message,
    originator: originator ?? (deviceName === null ? { entityType: 'TENANT' as const, id: TENANT_ID } : world.deviceNamed(deviceName)),
  }));
  const chains = loadChains(folder, fields, world, now);
  for (const { chain, metadata } of chains.values()) {
    const { tenantId, id, name } = chain;
    world.put(chain);
    world.put(newDoc({ id, tenantId, name, collection: 'RULE_CHAIN_METADATA', body: { ...metadata } }, now));
  }
  const tested = chains.get(chosen(folder, fields['chain']))!;
  const place = mkdtempSync(join(tmpdir(), 'fieldbridge-case-'));
  try {
    const backend = await openSqliteBackend({ folder: place, lanes: 1 });
    try {
      await backend.commit(world.work);
      const { store } = backend;
      return await dryRun(
        { ...tested, messages, answers, now },
        { store, nodes: NODES, scripts, downlinkTarget: () => NO_LIMIT, server: 'fieldbridge' },
      );
    } finally {
      await backend.close();
    }
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Whom the world knows by name. */
function withIds(message: unknown, world: World): unknown {
  const originator = (message as { originator?: unknown } | null)?.originator;
  return originator === undefined ? message : { ...(message as Raw), originator: world.refOf(originator) };
}

/** Which of the folder's chains the case is of. */
function chosen({ path, chains }: Folder, name: unknown): Chain {
  if (name === undefined && chains.length === 1) return chains[0]!;
  const found = chains.filter((chain) => relative(path, chain.file) === name || chain.name === name);
  if (found.length === 1) return found[0]!;
  const known = chains.map(({ file, name: of }) => `${relative(path, file)} (${of})`).join(', ');
  throw new Error(name === undefined ? `"chain" must say which of these it is of: ${known}` : `there is no chain "${String(name)}" among ${known}`);
}

/** All chains of the folder, so that they can call each other: by the ids in their files, or by those that `chains` of the case gives to files. */
function loadChains(folder: Folder, { chains: ids }: Raw, world: World, now: number): Map<Chain, { chain: Doc; metadata: ChainMetadata }> {
  const given = new Map(Object.entries((ids ?? {}) as Raw).map(([id, file]) => [chosen(folder, file), id]));
  for (const id of given.values()) if (!isUuid(id)) throw new Error(`chains: "${id}" is not the id of a rule chain`);
  return new Map(
    folder.chains.map((each) => {
      if (each.fault !== undefined) throw new Error(`${each.file}: ${each.fault}`);
      const file = readChainFile(each.json);
      const id = given.get(each) ?? each.id ?? world.newId();
      const chain = newDoc({ id, collection: 'RULE_CHAIN', tenantId: TENANT_ID, name: file.name, kind: file.type, state: null, body: {} }, now);
      const options = { chainId: id, nodes: NODES, current: null, chainName: () => null, newId: () => world.newId(), now };
      return [each, { chain, metadata: checkGraph(withoutNodeIds(file.metadata as Raw), options) }] as const;
    }),
  );
}

function withoutNodeIds(metadata: Raw): Raw {
  const { nodes } = metadata;
  return Array.isArray(nodes) ? { ...metadata, nodes: nodes.map((node: Raw) => ({ ...node, id: null })) } : metadata;
}
