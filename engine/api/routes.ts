import type { FastifyInstance } from 'fastify';
import attributes from './attributes.ts';
import components from './components.ts';
import type { ApiContext } from './context.ts';
import converterTests from './converter-tests.ts';
import converters from './converters.ts';
import events from './events.ts';
import persistentRpc from './persistent-rpc.ts';
import rpc from './rpc.ts';
import ruleChainFiles from './rule-chain-files.ts';
import ruleChains from './rule-chains.ts';
import ruleEngine from './rule-engine.ts';
import telemetry from './telemetry.ts';
import testScript from './test-script.ts';

export type Routes = (app: FastifyInstance, context: ApiContext) => Promise<void>;

/** Every resource of the API, by hand. */
export const ROUTES: readonly Routes[] = [
  attributes,
  components,
  persistentRpc,
  rpc,
  ruleChainFiles,
  ruleChains,
  ruleEngine,
  telemetry,
  testScript,
  events,
  converters,
  converterTests,
];
