import { rm } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { openFileSegments } from '#engine/capture/files.ts';
import { findTree } from '#engine/capture/find.ts';
import { type Journey, type JourneyMessage, type JourneyStep, journeyOf } from '#engine/capture/journey.ts';
import { createObservation, type Observation } from '#engine/capture/observation.ts';
import { type FoundMessage, type MessageQuery, searchMessages } from '#engine/capture/search.ts';
import { alone } from '#engine/cluster.ts';
import { newId } from '#engine/id.ts';
import { temporaryFolder } from './backend.ts';
import { type EngineOptions, openEngine, type TestEngine } from './chain.ts';
import { TENANT } from './message.ts';

export interface Observed {
  readonly observation: Observation;
  readonly folder: string;
  /** Bugs that were caught. */
  readonly bugs: unknown[];
  journey(id: string, tenantId?: string): Promise<Journey | null>;
  search(query: MessageQuery, tenantId?: string): Promise<FoundMessage[]>;
}

/** What messages leave behind, in a folder that goes with the test. */
export async function observe(t: TestContext, { ringBytes = 1024 * 1024 } = {}): Promise<Observed> {
  const folder = temporaryFolder();
  const bugs: unknown[] = [];
  const log = { warn() {}, error: (details: { err?: unknown }) => void bugs.push(details.err) };
  const segments = await openFileSegments({ folder, ringBytes, tenantBytes: 64 * ringBytes, now: Date.now, log });
  const observation = createObservation({
    ...{ cluster: alone({ version: 'test' }), onChange: () => () => {}, segments, ringBytes, newId, now: Date.now, log },
  });
  t.after(async () => {
    await observation.close();
    await rm(folder, { recursive: true });
  });
  return {
    ...{ observation, folder, bugs },
    async journey(id, tenantId = TENANT) {
      await observation.flush();
      return journeyOf(id, await findTree(segments, tenantId, id), { tenantId, busy: false, downlink: async () => null });
    },
    async search(query, tenantId = TENANT) {
      await observation.flush();
      return searchMessages(segments, query, { tenantId, busy: false });
    },
  };
}

export async function openObserved(
  t: TestContext,
  options: EngineOptions = {},
  limits: { ringBytes?: number } = {},
): Promise<Observed & { engine: TestEngine }> {
  const observed = await observe(t, limits);
  const { trace, capture } = observed.observation;
  const engine = await openEngine(t, { ...options, runner: { trace, created: capture!.made, ...options.runner } });
  return { ...observed, engine };
}

/** A step in short: `node>label`, what failed, what was written, and what came of it. */
export function short(message: JourneyMessage): unknown {
  return { is: message.outcome, by: message.madeBy, steps: message.steps.map(shortStep) };
}

function shortStep({ node, to, error, wrote, branches }: JourneyStep): unknown {
  const text = `${node.name}>${to.join('+')}${error === null ? '' : `: ${error}`}`;
  const keys = (wrote?.attributes ?? []).map(({ values = {} }) =>
    Object.entries(values)
      .map(([key, value]) => `${key}=${value}`)
      .join(),
  );
  return keys.length === 0 && branches.length === 0
    ? text
    : [text, ...(keys.length > 0 ? [keys.join()] : []), ...branches.map((branch) => short(branch))];
}
