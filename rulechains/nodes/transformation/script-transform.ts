import { isJsonObject, parseJson } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { defineNode, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Script, ScriptLanguage, ScriptResult } from '#engine/script.ts';
import { runScript, scriptChoice, scriptError, scriptFields, startScript } from '../../shared/script.ts';
import { scriptMessage } from '../../shared/script-message.ts';

const DEFAULT = 'return {msg: msg, metadata: metadata, msgType: msgType};';

/** Several results become new messages; the one that came in is acknowledged. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbTransformMsgNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'script',
  summary: 'Changes data, metadata and type of the message by a script.',
  relations: ['Success'],
  config: Config(scriptFields('It must return {msg, metadata, msgType} or an array of them; what is left out stays as it was.')),
  defaults: { scriptLang: 'TBEL', jsScript: DEFAULT, tbelScript: DEFAULT },
  needs: ['scripts'],
  start: ({ config, scripts }): Promise<Script> => startScript('transform', scriptChoice(config), scripts),
  async processBatch(messages, { state, scripts }) {
    const results = await runScript(state, messages, scripts);
    return results.map((result, index) => transformed(result, messages[index]!, state.language));
  },
});

function transformed(result: ScriptResult, message: Message, language: ScriptLanguage): Outcome | Error {
  if (!result.ok) return scriptError(result.fault);
  try {
    const returned = parseJson(result.json!);
    if (isJsonObject(returned)) return { to: 'Success', message: scriptMessage(returned, message, language) };
    if (!Array.isArray(returned) || returned.length === 0) return new Error('Message or messages list are empty!');
    return returned.map((element) => ({ to: 'Success', message: isJsonObject(element) ? scriptMessage(element, message, language) : message }));
  } catch (cause) {
    return cause as Error;
  }
}
