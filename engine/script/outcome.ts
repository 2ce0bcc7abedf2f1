import type { ScriptPosition } from '../errors.ts';
import type { ScriptFault, ScriptKind, ScriptResult } from '../script.ts';

/**
 * A result on its way back is one string; its first letter says what it is. Letters, not JSON: what a script returns is not quoted and read again.
 *
 * `J` json | `U` nothing | `E` n:message stack (thrown; n = length of the message) | `B` length (too large) | `P` a promise | `Y` type (function, symbol)
 * | `T` ms (time-out) | `M` memory | `C` line,column:message (compile) | `K` message | `N` not run | `L` n:logs, then one of the others; logs are n:line each.
 */
export const MAX_RESULT_CHARS = 300_000;
export const NOT_RUN = 'N';

const failed = (reason: ScriptFault['reason'], message: string, position?: ScriptPosition): ScriptResult => ({
  ok: false,
  fault: position === undefined ? { reason, message } : { reason, message, position },
});

export const killed = (message: string): ScriptResult => failed('killed', message);

/** Of a script that was translated: what its fault says and where it is, by the column of the code that ran. */
export type Locate = (message: string, column: number | null) => { readonly message: string; readonly line?: number; readonly column?: number };

export function decodeOutcome(code: string, kind: ScriptKind, memoryMb: number, locate?: Locate): ScriptResult {
  switch (code[0]) {
    case 'J':
      return locate ? shapedTbel(kind, code.slice(1)) : shaped(kind, code.slice(1));
    case 'U':
      return shaped(kind, undefined);
    case 'L': {
      const [logs, rest] = cut(code.slice(1));
      const lines: string[] = [];
      for (let left = logs; left !== ''; ) {
        const [line, more] = cut(left);
        lines.push(line);
        left = more;
      }
      return { ...decodeOutcome(rest, kind, memoryMb, locate), logs: lines };
    }
    case 'E': {
      const [message, stack] = cut(code.slice(1));
      return locate ? translated(message, stack, locate) : thrown(message || 'Script threw an empty text', stack);
    }
    case 'B':
      return failed('too-large', `Script result of ${code.slice(1)} characters is over the limit of ${MAX_RESULT_CHARS}`);
    case 'P':
      return failed('shape', 'Script returned a promise: asynchronous scripts are not supported');
    case 'Y':
      return failed('shape', unusable(kind, code.slice(1)));
    case 'T':
      return failed('timeout', `Script execution timed out after ${code.slice(1)} ms`);
    case 'M':
      return failed('memory', `Script used more than ${memoryMb} MB of memory`);
    case 'C': {
      const [, line, column, message] = /^C(\d*),(\d*):([\s\S]*)$/.exec(code) ?? [];
      return line
        ? failed('compile', `${message} (line ${line}, column ${column})`, { line: Number(line), column: Number(column) })
        : failed('compile', message ?? code);
    }
    default:
      return failed('killed', code.slice(1) || 'Script ended its host');
  }
}

/** `n:` and n characters, and what follows them. */
function cut(text: string): [string, string] {
  const colon = text.indexOf(':');
  const end = colon + 1 + Number(text.slice(0, colon));
  return [text.slice(colon + 1, end), text.slice(end)];
}

/** The innermost frame in the user's text; its first line is the line of the function's head, see `cell.ts`. */
function thrown(message: string, stack: string): ScriptResult {
  const [, line, column] = /<script>:(\d+):(\d+)/.exec(stack) ?? [];
  if (line === undefined || Number(line) < 2) return failed('thrown', message);
  const position = { line: Number(line) - 1, column: Number(column) };
  return failed('thrown', `${message} (line ${position.line}, column ${position.column})`, position);
}

/** The code of a translated script stands on its second line. */
function translated(message: string, stack: string, locate: Locate): ScriptResult {
  const [, column] = /<script>:2:(\d+)/.exec(stack) ?? [];
  const found = locate(message, column === undefined ? null : Number(column) - 1);
  if (found.line === undefined || found.column === undefined) return failed('thrown', found.message);
  const { line, column: at } = found;
  return failed('thrown', `${found.message} (line ${line}, column ${at})`, { line, column: at });
}

function unusable(kind: ScriptKind, type: string): string {
  if (kind === 'uplink') return 'Converter must return an object or an array of objects';
  if (kind === 'downlink') return 'Downlink converter must return an object or an array';
  return `Wrong result type: ${type.toUpperCase()}`;
}

/** What the rule nodes' scripts must give (specs: rule-nodes §3.1). The others are judged by who asked, as they know more than the text. */
function shaped(kind: ScriptKind, json: string | undefined): ScriptResult {
  const wrong = wrongType(kind, json);
  return wrong === null ? { ok: true, json } : failed('shape', `Wrong result type: ${wrong}`);
}

/** A log line of TBEL may be anything; kinds have the names of the original's classes. */
function shapedTbel(kind: ScriptKind, json: string): ScriptResult {
  if (kind === 'log') return { ok: true, json: json[0] === '"' ? json : JSON.stringify(json) };
  const wrong = wrongType(kind, json);
  const other = json[0] === '[' ? strayElement(kind, json) : undefined;
  if (wrong === null && other === undefined) return { ok: true, json };
  return failed('shape', `Wrong result type: ${javaClass(other === undefined ? json : JSON.stringify(other))}`);
}

/** The first element of a list that may not be in it. */
function strayElement(kind: ScriptKind, json: string): unknown {
  if (kind !== 'switch' && kind !== 'transform') return undefined;
  const list = JSON.parse(json) as unknown[];
  return list.find(kind === 'switch' ? (label) => typeof label !== 'string' : (message) => jsonType(JSON.stringify(message)) !== 'OBJECT');
}

const JAVA_CLASSES: Readonly<Record<string, string>> = {
  OBJECT: 'LinkedHashMap',
  ARRAY: 'ArrayList',
  STRING: 'String',
  BOOLEAN: 'Boolean',
  NULL: 'null',
};
function javaClass(json: string): string {
  const known = JAVA_CLASSES[jsonType(json)];
  if (known !== undefined) return known;
  if (/[.eE]/.test(json)) return 'Double';
  return Math.abs(Number(json)) <= 0x7fffffff ? 'Integer' : 'Long';
}

function wrongType(kind: ScriptKind, json: string | undefined): string | null {
  const type = json === undefined ? 'UNDEFINED' : jsonType(json);
  switch (kind) {
    case 'filter':
      return type === 'BOOLEAN' ? null : type;
    case 'log':
      return type === 'STRING' ? null : type;
    case 'transform':
      return type === 'OBJECT' || type === 'ARRAY' ? null : type;
    case 'generator':
      return type === 'OBJECT' ? null : type;
    case 'switch': {
      if (type !== 'ARRAY') return type === 'STRING' ? null : type;
      const other = (JSON.parse(json!) as unknown[]).find((label) => typeof label !== 'string');
      return other === undefined ? null : jsonType(JSON.stringify(other));
    }
    default:
      return null;
  }
}

/** Names of the original's JSON nodes. */
function jsonType(json: string): string {
  switch (json[0]) {
    case '{':
      return 'OBJECT';
    case '[':
      return 'ARRAY';
    case '"':
      return 'STRING';
    case 't':
    case 'f':
      return 'BOOLEAN';
    case 'n':
      return 'NULL';
    default:
      return 'NUMBER';
  }
}
