import { textOf } from './text.ts';
import { type Flt, flt, kindOf } from './values.ts';

/** The word operators of the language (specs: tbel §3.3). */

const CLASSES_OF_WORDS: Readonly<Record<string, readonly string[]>> = {
  Integer: ['I'],
  int: ['I'],
  Long: ['L'],
  long: ['L'],
  Double: ['D'],
  double: ['D'],
  Float: ['F'],
  float: ['F'],
  Byte: ['B'],
  byte: ['B'],
  Short: [],
  Character: ['C'],
  char: ['C'],
  String: ['S'],
  CharSequence: ['S'],
  Boolean: ['Z'],
  boolean: ['Z'],
  Number: ['I', 'L', 'D', 'F', 'B', 'BI'],
  Date: ['date'],
  'java.util.List': ['list'],
  'java.util.ArrayList': ['list'],
  'java.util.Collection': ['list', 'set'],
  'java.util.Set': ['set'],
  'java.util.LinkedHashSet': ['set'],
  'java.util.HashSet': ['set'],
  'java.util.Map': ['map'],
  'java.util.HashMap': ['map'],
  'java.util.LinkedHashMap': ['map'],
  'java.util.Map.Entry': ['entry'],
};
export const isClass = (name: string): boolean => name === 'Object' || Object.hasOwn(CLASSES_OF_WORDS, name);
export const isA = (v: unknown, name: string): boolean =>
  v !== null && v !== undefined && (name === 'Object' || CLASSES_OF_WORDS[name]!.includes(kindOf(v)));

export function similarity(a: unknown, b: unknown): Flt {
  const x = textOf(a);
  const y = textOf(b);
  let same = 0;
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] === y[i]) same++;
  return flt(same / Math.max(1, x.length, y.length));
}

const SOUNDS = '01230120022455012623010202';
function soundex(text: string): string {
  let code = '';
  let last = '';
  for (const char of text.toUpperCase()) {
    if (char < 'A' || char > 'Z') continue;
    const sound = SOUNDS[char.charCodeAt(0) - 65]!;
    if (code === '') code = char;
    else if (sound !== '0' && sound !== last) code += sound;
    if (char !== 'H' && char !== 'W') last = sound;
  }
  return code.padEnd(4, '0').slice(0, 4);
}
export const soundsLike = (a: unknown, b: unknown): boolean => soundex(textOf(a)) === soundex(textOf(b));
