import { Type } from 'typebox';
import { ConverterError } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Script, ScriptArgs, ScriptFault, ScriptKind, ScriptLanguage, ScriptResult } from '#engine/script.ts';
import type { Services } from '#engine/services.ts';
import { nullable } from './fields.ts';

/** What the script nodes share (specs: rule-nodes §3.1). */

export const scriptLang = nullable(Type.Enum(['TBEL', 'JS']), { title: 'Language', description: 'Which of the two scripts runs. None: JavaScript.' });

const code = (title: string, description: string) => nullable(Type.String(), { title, description, control: 'code' });

/** @param about what the function is given and must return. */
export const scriptFields = (about: string) => ({
  scriptLang,
  jsScript: code('JavaScript', `Body of a function of (msg, metadata, msgType). ${about}`),
  tbelScript: code('TBEL', `The same in TBEL. ${about}`),
});

export const detailsFields = {
  scriptLang,
  alarmDetailsBuildJs: code(
    'Details (JavaScript)',
    'Body of a function of (msg, metadata, msgType) that returns the details of the alarm; metadata.prevAlarmDetails holds the present ones.',
  ),
  alarmDetailsBuildTbel: code('Details (TBEL)', 'The same in TBEL.'),
};

/** Word for word as recorded: editors tell an untouched script by it. */
export const DEFAULT_DETAILS = {
  scriptLang: 'TBEL',
  alarmDetailsBuildJs: `var details = {};
if (metadata.prevAlarmDetails) {
    details = JSON.parse(metadata.prevAlarmDetails);
    //remove prevAlarmDetails from metadata
    delete metadata.prevAlarmDetails;
    //now metadata is the same as it comes IN this rule node
}


return details;`,
  alarmDetailsBuildTbel: `var details = {};
if (metadata.prevAlarmDetails != null) {
    details = JSON.parse(metadata.prevAlarmDetails);
    //remove prevAlarmDetails from metadata
    metadata.remove('prevAlarmDetails');
    //now metadata is the same as it comes IN this rule node
}


return details;`,
};

export interface ScriptChoice {
  readonly scriptLang: ScriptLanguage | null;
  readonly js: string | null;
  readonly tbel: string | null;
}

/** @throws Error with the reason why the node can not run. */
export async function startScript(kind: ScriptKind, choice: ScriptChoice, scripts: Pick<Services['scripts'], 'check'>): Promise<Script> {
  const language = choice.scriptLang ?? 'JS';
  const body = (language === 'JS' ? choice.js : choice.tbel) ?? '';
  if (body.trim() === '') throw new Error(`${language} script is blank!`);
  const script: Script = { kind, language, body };
  const fault = await scripts.check(script);
  if (fault === null) return script;
  throw new Error(fault.reason === 'unavailable' ? fault.message : `Unexpected error when creating script engine: ${fault.message}`);
}

export const scriptChoice = (config: { scriptLang: ScriptLanguage | null; jsScript: string | null; tbelScript: string | null }): ScriptChoice => ({
  scriptLang: config.scriptLang,
  js: config.jsScript,
  tbel: config.tbelScript,
});

export const detailsChoice = (config: {
  scriptLang: ScriptLanguage | null;
  alarmDetailsBuildJs: string | null;
  alarmDetailsBuildTbel: string | null;
}): ScriptChoice => ({ scriptLang: config.scriptLang, js: config.alarmDetailsBuildJs, tbel: config.alarmDetailsBuildTbel });

export const scriptArgs = (message: Message): ScriptArgs => [message.data, JSON.stringify(message.metadata), message.type];

/** One crossing to the script host for the whole batch. */
export const runScript = (script: Script, messages: readonly Message[], scripts: Services['scripts']): Promise<ScriptResult[]> =>
  scripts.run(script, messages.map(scriptArgs));

export const scriptError = (fault: ScriptFault): Error => new ConverterError(fault.message, fault.position);
