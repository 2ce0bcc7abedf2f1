/** What a device, a file or a hand may give that nobody meant: for the tests that walk the whole registry of nodes. */

const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);

/** The keys that the nodes' untouched configurations look for, all with this value. */
const everywhere = (value: string): string =>
  `{${['temperature', 'latitude', 'longitude', 'pulseCounter', 'to', 'method', 'params', 'id', 'additionalInfo'].map((key) => `"${key}":${value}`).join()}}`;

export const BAD_DATA: readonly { readonly name: string; readonly data: string }[] = [
  { name: 'an object', data: '{"temperature":21.5,"latitude":48.2,"longitude":16.3,"pulseCounter":7}' },
  { name: 'no JSON', data: '{"temperature": 2' },
  { name: 'empty', data: '' },
  { name: 'blank', data: ' \n' },
  { name: 'an empty object', data: '{}' },
  { name: 'an empty array', data: '[]' },
  { name: 'an array', data: '[1,{"temperature":2},null,"x",[3]]' },
  { name: 'a text', data: '"21.5"' },
  { name: 'a number', data: '42.5' },
  { name: 'a flag', data: 'true' },
  { name: 'null', data: 'null' },
  { name: 'null values', data: everywhere('null') },
  { name: 'objects as values', data: everywhere('{"a":[null]}') },
  { name: 'texts as values', data: everywhere('"x"') },
  { name: '64 bit', data: everywhere('9007199254740993') },
  { name: 'beyond any number', data: everywhere('123456789012345678901234567890e400') },
  { name: 'names of JavaScript', data: '{"__proto__":{"temperature":1},"constructor":2,"toString":null,"hasOwnProperty":3,"length":-1,"":4}' },
  { name: 'deep', data: nested('[', ']', 900) },
  { name: 'too deep', data: nested('{"temperature":', '}', 20_000).replace('{"temperature":}', '{}') },
  { name: 'lone surrogates', data: '"\\ud800"' },
];

export const BAD_METADATA: readonly Readonly<Record<string, string>>[] = [
  {},
  {
    ...{ ts: 'soon', TTL: 'long', deviceName: '', deviceType: '${deviceName}', ss_perimeter: '[[1]', userEmail: 'a,,b' },
    ...{ serviceId: '', sessionId: 'no id', requestId: 'x', requestUUID: 'no id', prevAlarmDetails: '{', alarmId: 'no id', attachments: 'x,,' },
    ...{ __proto__: 'x', constructor: 'y', '': 'z' },
  },
];

/** In place of a value of some type: what a hand-written file has there. */
const WRONG: readonly unknown[] = [null, '', 'zz', 12.5, -1, true, {}, { zz: 1 }, [], ['zz'], [null]];

/** Fields that name a machine: what is put there must not lead anywhere. */
const LEADS_ELSEWHERE = /host|url|servers|endpoint/i;
const NO_ADDRESS: readonly unknown[] = [null, '', {}, { zz: 1 }, [], ['zz']];

type Config = Readonly<Record<string, unknown>>;

/** One key after the other is missing, null and of a wrong type, two levels deep; then the whole is. */
export function spoiled(config: Config): { name: string; config: unknown }[] {
  const variants: { name: string; config: unknown }[] = [
    ...[{}, [], ['zz'], 'zz', 7, true].map((whole) => ({ name: `is ${JSON.stringify(whole)}`, config: whole })),
    { name: 'unknown key', config: { ...config, zzUnknown: 1 } },
    { name: 'key of JavaScript', config: JSON.parse(`{"__proto__":1,"constructor":2,${JSON.stringify(config).slice(1)}`.replace(',}', '}')) },
  ];
  spoil(config, '', (name, changed) => variants.push({ name, config: changed }));
  return variants;
}

function spoil(value: unknown, path: string, found: (name: string, changed: unknown) => void): void {
  if (typeof value !== 'object' || value === null || path.split('.').length > 3) return;
  for (const key of Object.keys(value)) {
    const at = path ? `${path}.${key}` : key;
    const set = (to: unknown): unknown => (Array.isArray(value) ? value.with(Number(key), to) : { ...value, [key]: to });
    if (!Array.isArray(value)) {
      const { [key]: _, ...rest } = value as Config;
      found(`${at} missing`, rest);
    }
    for (const wrong of LEADS_ELSEWHERE.test(key) ? NO_ADDRESS : WRONG) found(`${at} ${JSON.stringify(wrong)}`, set(wrong));
    spoil((value as Config)[key], at, (name, changed) => found(name, set(changed)));
  }
}

/** The marks of an error that nobody foresaw, or of a value that was printed without a look at it. `Message value: 'a' is undefined` is the original's. */
const ACCIDENT =
  /(?<!' is )\bundefined\b|\[object |Cannot read propert|Cannot set propert|is not a function|is not iterable|is not defined|Cannot convert undefined|Cannot destructure|Reduce of empty|Invalid array length|Maximum call stack|\bTypeError\b|\bRangeError\b/;

/** Why this is no error text for a user; null: it is one. */
export function accidentIn(text: unknown): string | null {
  if (typeof text !== 'string') return `no text: ${String(text)}`;
  if (text.trim() === '') return 'empty';
  return ACCIDENT.test(text) ? text : null;
}
