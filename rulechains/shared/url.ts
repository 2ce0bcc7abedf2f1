/** How "rest api call" makes a URL of its texts (rule-nodes §3.7, §6 row 24). */

const UNRESERVED = /[A-Za-z0-9\-._~]/;
const SUB_DELIMITERS = "!$&'()*+,;=";
const PATH = `${SUB_DELIMITERS}:@/`;
/** Of a name or value in the query: `=` and `&` would end it. */
const PARAMETER = "!$'()*+,;:@/?";

function encoded(text: string, also: string, keepEscapes = false): string {
  let result = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at)!;
    const character = String.fromCodePoint(code);
    if (UNRESERVED.test(character) || also.includes(character)) result += character;
    else if (keepEscapes && character === '%' && /^%[0-9A-Fa-f]{2}/.test(text.slice(at, at + 3))) result += character;
    else for (const byte of Buffer.from(character)) result += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (code > 0xffff) at++;
  }
  return result;
}

interface Parts {
  readonly origin: string;
  readonly path: string;
  readonly query: string | null;
}

/** @throws Error in the words of the original. */
function partsOf(text: string): Parts {
  if (text === '') throw new Error('Url string cannot be empty!');
  const [, scheme, authority, path = '', , query] = /^([^:/?#]+):(?:\/\/([^/?#]*))?([^?#]*)(\?([^#]*))?/.exec(text) ?? [];
  if (!scheme) throw new Error('Transport scheme(protocol) must be provided!');
  if (!authority || !/^(?:[^@]*@)?(?:\[[^\]]+\]|[^:@[\]\s]+)(?::\d*)?$/.test(authority)) throw new Error('Url string is invalid!');
  if (!/^https?$/i.test(scheme)) throw new Error(`Transport scheme(protocol) must be http or https, not ${scheme}!`);
  return { origin: `${scheme}://${authority}`, path, query: query ?? null };
}

function urlOf(origin: string, rest: string): URL {
  const url = URL.parse(origin + rest);
  if (!url) throw new Error('Url string is invalid!');
  return url;
}

/** The way of old files, which have no list of parameters: everything is encoded once more, `%` too; `+` and `:` stay. */
export function reencodedUrl(text: string): URL {
  const { origin, path, query } = partsOf(text);
  return urlOf(origin, encoded(path, PATH) + (query === null ? '' : reencodedQuery(query)));
}

/** Parameters of one name come together, where the first of them stood. */
function reencodedQuery(query: string): string {
  const byName = new Map<string, string[]>();
  for (const [, name = '', equals = '', value] of query.matchAll(/([^&=]+)(=?)([^&]+)?/g)) {
    const shown = encoded(name, PARAMETER);
    const pair = value === undefined ? shown + equals : `${shown}=${encoded(value, PARAMETER)}`;
    byName.set(name, [...(byName.get(name) ?? []), pair]);
  }
  return byName.size === 0 ? '' : `?${[...byName.values()].flat().join('&')}`;
}

/** Parameters are encoded and appended; what the URL holds already is only made legal. Blank names and values are kept. */
export function urlWithParameters(text: string, parameters: readonly (readonly [name: string, value: string])[]): URL {
  const { origin, path, query } = partsOf(text);
  const pairs = parameters.map(([name, value]) => `${encoded(name, '')}=${encoded(value, '')}`);
  if (query) pairs.unshift(encoded(query, `${PARAMETER}=&`, true));
  return urlOf(origin, encoded(path, PATH, true) + (pairs.length === 0 ? '' : `?${pairs.join('&')}`));
}
