import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script } from '#engine/script.ts';
import { runScript, scriptChoice, scriptError, scriptFields, startScript } from '../../shared/script.ts';

const sample = (equal: string): string => `function nextRelation(metadata, msg) {
    return ['one','nine'];
}
if(msgType ${equal} 'POST_TELEMETRY_REQUEST') {
    return ['two'];
}
return nextRelation(metadata, msg);`;

/** Routes by labels that a script names. A label without a connection, or none at all, ends the message quietly. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbJsSwitchNode',
  version: 0,
  family: 'FILTER',
  label: 'switch',
  summary: 'Sends the message to the relations that a script names.',
  relations: [],
  customRelations: true,
  config: Config(scriptFields('It must return a relation type or an array of them.')),
  defaults: { scriptLang: 'TBEL', jsScript: sample('==='), tbelScript: sample('==') },
  needs: ['scripts'],
  start: ({ config, scripts }): Promise<Script> => startScript('switch', scriptChoice(config), scripts),
  async processBatch(messages, { state, scripts }) {
    const results = await runScript(state, messages, scripts);
    return results.map((result) => {
      if (!result.ok) return scriptError(result.fault);
      const labels: string | string[] = JSON.parse(result.json!);
      if (typeof labels === 'string') return labels;
      return { to: [...new Set(labels)] };
    });
  },
});
