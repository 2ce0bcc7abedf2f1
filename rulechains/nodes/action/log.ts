import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script } from '#engine/script.ts';
import { runScript, scriptChoice, scriptError, scriptFields, startScript } from '../../shared/script.ts';

/** The text of every new node: it is compared, not run, so that TBEL's default and data that is no JSON log too. */
export const DEFAULT_LOG = "return '\\nIncoming message:\\n' + JSON.stringify(msg) + '\\nIncoming metadata:\\n' + JSON.stringify(metadata);";

export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbLogNode',
  version: 0,
  family: 'ACTION',
  label: 'log',
  summary: 'Writes a line about the message into the log of the server.',
  relations: ['Success'],
  config: Config(scriptFields('It must return the text to log.')),
  defaults: { scriptLang: 'TBEL', jsScript: DEFAULT_LOG, tbelScript: DEFAULT_LOG },
  needs: ['scripts', 'log'],
  async start({ config, scripts }): Promise<Script | null> {
    const { scriptLang, js, tbel } = scriptChoice(config);
    return (scriptLang === 'TBEL' ? tbel : js) === DEFAULT_LOG ? null : startScript('log', { scriptLang, js, tbel }, scripts);
  },
  async processBatch(messages, { state, scripts, log }) {
    if (!state) {
      for (const { data, metadata } of messages) log.info(`\nIncoming message:\n${data}\nIncoming metadata:\n${JSON.stringify(metadata)}`);
      return messages.map(() => 'Success');
    }
    const results = await runScript(state, messages, scripts);
    return results.map((result) => {
      if (!result.ok) return scriptError(result.fault);
      log.info(JSON.parse(result.json!));
      return 'Success';
    });
  },
});
