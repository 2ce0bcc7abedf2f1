import type { Script, ScriptFault, ScriptKind } from '../script.ts';

export const MAX_BODY_CHARS = 50_000;

const NODE_ARGS = ['msg', 'metadata', 'msgType'] as const;

/** Argument names where the script does not choose them (specs: integrations §2.1, §2.6; rule-nodes §3.1). Their number is the number of texts of a call. */
export const ARGUMENTS: Record<ScriptKind, readonly string[]> = {
  uplink: ['payload', 'metadata'],
  downlink: ['msg', 'metadata', 'msgType', 'integrationMetadata'],
  filter: NODE_ARGS,
  switch: NODE_ARGS,
  transform: NODE_ARGS,
  log: NODE_ARGS,
  details: NODE_ARGS,
  any: NODE_ARGS,
  generator: ['prevMsg', 'prevMetadata', 'prevMsgType'],
};

const FORBIDDEN = new Set(['async', 'await', 'Promise', 'setTimeout']);
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$_]*$/u;

const refused = (reason: ScriptFault['reason'], message: string): ScriptFault => ({ reason, message });

/** What can be said about a script without an engine: it is not blank, not too long, in a language that runs, without words that would make it asynchronous. */
export function staticFault({ kind, language, body, argNames }: Script): ScriptFault | null {
  if (language !== 'JS' && language !== 'TBEL') return refused('unavailable', `${String(language)} is not available`);
  if (typeof body !== 'string' || body.trim() === '') return refused('compile', `${language} script is blank!`);
  if (body.length > MAX_BODY_CHARS) return refused('too-large', `Script of ${body.length} characters is over the limit of ${MAX_BODY_CHARS}`);
  const names = argNames ?? ARGUMENTS[kind];
  if (names.length !== ARGUMENTS[kind].length || new Set(names).size !== names.length) {
    return refused('compile', `Script takes ${ARGUMENTS[kind].length} different arguments, got: ${names.join(', ')}`);
  }
  const bad = names.find((name) => !IDENTIFIER.test(name));
  if (bad !== undefined) return refused('compile', `Invalid argument name: ${bad}`);
  if (language === 'TBEL') return null;
  // Converters may hold such words in code that never runs (bundled codecs do); a promise as their result is refused when it is returned.
  const word = kind === 'uplink' || kind === 'downlink' ? undefined : codeWords(body).find((name) => FORBIDDEN.has(name));
  return word === undefined ? null : refused('compile', `Script must not contain '${word}' keyword.`);
}

/** One token of code: a comment, a string, a number, a word, or a sign. */
const TOKEN =
  /\/\/[^\n\r]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:\\[\s\S]|[^'\\\n])*'?|"(?:\\[\s\S]|[^"\\\n])*"?|`(?:\\[\s\S]|[^`\\])*`?|\d[\w.]*|[\p{ID_Start}$_][\p{ID_Continue}$_]*|\s+|[\s\S]/gu;
const REGEX = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
/** Words that an expression follows, so that a slash behind them begins a regular expression. */
const BEFORE_EXPRESSION = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'throw', 'new', 'instanceof', 'yield']);

/** The identifiers and keywords of a script, without what stands in strings, templates, comments and regular expressions. */
function codeWords(body: string): string[] {
  const words: string[] = [];
  let valueBefore = false;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(body); match !== null; match = TOKEN.exec(body)) {
    const token = match[0];
    const first = token[0]!;
    if (token.startsWith('//') || token.startsWith('/*') || /^\s/.test(token)) continue;
    if (first === '/' && !valueBefore) {
      REGEX.lastIndex = match.index;
      const regex = REGEX.exec(body);
      if (regex !== null) {
        TOKEN.lastIndex = REGEX.lastIndex;
        valueBefore = true;
        continue;
      }
    }
    const isWord = /^[\p{ID_Start}$_]/u.test(first);
    if (isWord) words.push(token);
    valueBefore = isWord ? !BEFORE_EXPRESSION.has(token) : /^["'`\d)\]}]/.test(first);
  }
  return words;
}
