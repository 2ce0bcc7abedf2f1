import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script } from '#engine/script.ts';
import { runScript, scriptChoice, scriptError, scriptFields, startScript } from '../../shared/script.ts';

const DEFAULT = 'return msg.temperature > 20;';

/** Routes by what a script says. It works on copies: what it changes goes nowhere. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbJsFilterNode',
  version: 0,
  family: 'FILTER',
  label: 'script',
  summary: 'Sends the message to True or False, as a script decides.',
  relations: ['True', 'False'],
  config: Config(scriptFields('It must return true or false.')),
  defaults: { scriptLang: 'TBEL', jsScript: DEFAULT, tbelScript: DEFAULT },
  needs: ['scripts'],
  start: ({ config, scripts }): Promise<Script> => startScript('filter', scriptChoice(config), scripts),
  async processBatch(messages, { state, scripts }) {
    const results = await runScript(state, messages, scripts);
    return results.map((result) => (result.ok ? (result.json === 'true' ? 'True' : 'False') : scriptError(result.fault)));
  },
});
