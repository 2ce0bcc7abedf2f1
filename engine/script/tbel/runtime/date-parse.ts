import { type Fields, instantOf, localZone, patternParts } from './date-text.ts';

/** Instants in texts (specs: tbel §8.8). */

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const FULL = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(\S*)$/;
const RFC = /^(?:\w{3}, )?(\d{1,2}) (\w{3}) (\d{4}) (\d{2}):(\d{2})(?::(\d{2}))? (GMT|UTC|[+-]\d{4})$/;

const isRight = ({ y, m, d, h, min, s }: Fields): boolean =>
  m >= 1 && m <= 12 && d >= 1 && d <= new Date(Date.UTC(y, m, 0)).getUTCDate() && h < 24 && min < 60 && s < 60;

export function parseInstant(text: string): number | null {
  const trimmed = text.trim();
  const iso = FULL.exec(trimmed);
  if (iso !== null) {
    const fraction = iso[7] ?? '';
    const zone = iso[8]!;
    const isOffset = zone === 'Z' || /^[+-]\d{2}:\d{2}$/.test(zone);
    if (fraction !== '' && fraction.length !== 3 && !isOffset) return null;
    const fields = {
      y: Number(iso[1]),
      m: Number(iso[2]),
      d: Number(iso[3]),
      h: Number(iso[4]),
      min: Number(iso[5]),
      s: Number(iso[6] ?? 0),
      ms: Number(fraction.padEnd(3, '0').slice(0, 3) || 0),
    };
    return isRight(fields) ? inZone(fields, zone === '' ? localZone() : zone) : null;
  }
  const rfc = RFC.exec(trimmed);
  if (rfc === null) return null;
  const fields = {
    y: Number(rfc[3]),
    m: MONTHS.indexOf(rfc[2]!.toLowerCase()) + 1,
    d: Number(rfc[1]),
    h: Number(rfc[4]),
    min: Number(rfc[5]),
    s: Number(rfc[6] ?? 0),
    ms: 0,
  };
  return isRight(fields) ? inZone(fields, rfc[7]!) : null;
}

function inZone(fields: Fields, zone: string): number | null {
  try {
    return instantOf(fields, zone);
  } catch {
    return null;
  }
}

/** By the letters that give numbers, names of months in English, AM and PM, and zones. */
export function parsePattern(text: string, pattern: string, zone: string, _locale: string): number | null {
  const fields: Fields = { y: 1970, m: 1, d: 1, h: 0, min: 0, s: 0, ms: 0 };
  let at = 0;
  let where = zone;
  let half: 'am' | 'pm' | null = null;
  const take = (regex: RegExp): string | null => {
    const sticky = new RegExp(regex.source, 'iy');
    sticky.lastIndex = at;
    const found = sticky.exec(text);
    if (found === null) return null;
    at += found[0].length;
    return found[0];
  };
  for (const { letter, count, text: literal } of patternParts(pattern)) {
    if (letter === '') {
      if (!text.startsWith(literal, at)) return null;
      at += literal.length;
      continue;
    }
    const digits = (): number | null => {
      const found = take(count === 1 ? /\d{1,9}/ : new RegExp(`\\d{${count}}`));
      return found === null ? null : Number(found);
    };
    let value: number | null | undefined;
    switch (letter) {
      case 'y':
      case 'u':
        value = count === 1 ? Number(take(/\d{1,9}/) ?? Number.NaN) : digits();
        if (value !== null) fields.y = count === 2 ? 2000 + value : value;
        break;
      case 'M':
      case 'L':
        if (count > 2) {
          const name = take(/[a-z]+/);
          value = name === null ? null : MONTHS.indexOf(name.slice(0, 3).toLowerCase()) + 1;
        } else value = digits();
        if (value !== null) fields.m = value;
        break;
      case 'd':
        value = digits();
        if (value !== null) fields.d = value;
        break;
      case 'H':
      case 'k':
      case 'h':
      case 'K':
        value = digits();
        if (value !== null) fields.h = (letter === 'k' && value === 24) || (letter === 'h' && value === 12) ? 0 : value;
        break;
      case 'm':
        value = digits();
        if (value !== null) fields.min = value;
        break;
      case 's':
        value = digits();
        if (value !== null) fields.s = value;
        break;
      case 'S': {
        const found = take(new RegExp(`\\d{${count}}`));
        value = found === null ? null : Number(found.padEnd(3, '0').slice(0, 3));
        if (value !== null) fields.ms = value;
        break;
      }
      case 'a':
        half = take(/[ap]m/)?.toLowerCase() as 'am' | 'pm' | null;
        value = half ? 0 : null;
        break;
      case 'E':
        value = take(/[a-z]+/) === null ? null : 0;
        break;
      case 'X':
      case 'x':
      case 'Z':
      case 'z':
      case 'V': {
        const found = take(/Z|(?:GMT|UTC)?[+-]\d{2}:?(?:\d{2})?|[a-z]+(?:\/[a-z_]+)*/);
        value = found === null ? null : 0;
        where = found === 'z' ? 'Z' : (found ?? where);
        break;
      }
      default:
        return null;
    }
    if (value === null || Number.isNaN(value)) return null;
  }
  if (half === 'pm') fields.h += 12;
  return at === text.length && isRight(fields) ? inZone(fields, where) : null;
}
