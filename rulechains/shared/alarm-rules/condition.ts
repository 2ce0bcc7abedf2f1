import type { DynamicValue, Filter, Operand, Predicate } from '#engine/alarm-rules/rules.ts';
import { type Value, valueText } from '#engine/json.ts';
import { parseDouble, toLong } from '../numbers.ts';

/** Conditions of alarm rules (specs: rule-nodes §3.5 "device profile"), over values that are at hand. */

/** Names a value within a device: `TIME_SERIES temperature`. */
export const keyName = ({ type, key }: Filter['key']): string => `${type} ${key}`;
export const attributeKey = (key: string): string => `ATTRIBUTE ${key}`;

export interface Values {
  /** @param key as `keyName` makes it */
  of(key: string): Value | null;
  /** What the device, its customer or the tenant has under the attribute. */
  dynamic(source: DynamicValue): Value | null;
}

/** All filters are true. One whose key has no value is not. */
export const holds = (filters: readonly Filter[], values: Values): boolean =>
  filters.every((filter) => {
    const value = filter.key.type === 'CONSTANT' ? constant(filter) : values.of(keyName(filter.key));
    return value !== null && matches(value, filter.predicate, filter.key.type === 'CONSTANT', values);
  });

/** null: it is not what its type says. */
function constant({ valueType, value }: Filter): Value | null {
  if (value === null) return null;
  const text = String(value);
  switch (valueType) {
    case 'STRING':
      return { type: 'STRING', value: text };
    case 'BOOLEAN':
      return { type: 'BOOLEAN', value: text.toLowerCase() === 'true' };
    case 'DATE_TIME':
      return /^[-+]?\d{1,18}$/.test(text) ? { type: 'LONG', value: BigInt(text) } : null;
    case 'NUMERIC': {
      const number = parseDouble(text);
      return number === null ? null : { type: 'DOUBLE', value: number };
    }
    case null:
      return null;
  }
}

/** @param isConstant then only a dynamic value is compared with: two constants would say nothing of the device. */
function matches(value: Value, predicate: Predicate, isConstant: boolean, values: Values): boolean {
  const against = <T>(operand: Operand<T>, read: (value: Value) => T | null): T | null => {
    const dynamic = operand.dynamicValue && values.dynamic(operand.dynamicValue);
    return (dynamic && read(dynamic)) ?? (isConstant ? null : operand.defaultValue);
  };
  switch (predicate.type) {
    case 'COMPLEX': {
      const inner = (each: Predicate) => matches(value, each, isConstant, values);
      return predicate.operation === 'AND' ? predicate.predicates.every(inner) : predicate.predicates.some(inner);
    }
    case 'STRING': {
      const [own, other] = [valueText(value), against(predicate.value, valueText)];
      if (other === null) return false;
      return predicate.ignoreCase ? TEXTS[predicate.operation](own.toLowerCase(), other.toLowerCase()) : TEXTS[predicate.operation](own, other);
    }
    case 'NUMERIC': {
      const [own, other] = [asDouble(value), against(predicate.value, asDouble)];
      return own !== null && other !== null && NUMBERS[predicate.operation](own, other);
    }
    case 'BOOLEAN': {
      const other = against(predicate.value, asBoolean);
      return other !== null && (asBoolean(value) === other) === (predicate.operation === 'EQUAL');
    }
  }
}

const TEXTS: { readonly [O in Extract<Predicate, { type: 'STRING' }>['operation']]: (own: string, other: string) => boolean } = {
  EQUAL: (own, other) => own === other,
  NOT_EQUAL: (own, other) => own !== other,
  STARTS_WITH: (own, other) => own.startsWith(other),
  ENDS_WITH: (own, other) => own.endsWith(other),
  CONTAINS: (own, other) => own.includes(other),
  NOT_CONTAINS: (own, other) => !own.includes(other),
  IN: (own, other) => words(other).includes(own),
  NOT_IN: (own, other) => !words(other).includes(own),
};

/** Equal as Java's objects are: NaN is itself, 0.0 is not -0.0. */
const NUMBERS: { readonly [O in Extract<Predicate, { type: 'NUMERIC' }>['operation']]: (own: number, other: number) => boolean } = {
  EQUAL: (own, other) => Object.is(own, other),
  NOT_EQUAL: (own, other) => !Object.is(own, other),
  GREATER: (own, other) => own > other,
  LESS: (own, other) => own < other,
  GREATER_OR_EQUAL: (own, other) => own >= other,
  LESS_OR_EQUAL: (own, other) => own <= other,
};

/** A list in a text, `a, b`; quotes go where all of them have the same. */
function words(text: string): string[] {
  const parts = text.trim().split(/\s*,\s*/);
  const quote = parts[0]![0];
  const isQuoted = (quote === "'" || quote === '"') && parts.every((part) => part.length > 1 && part.startsWith(quote) && part.endsWith(quote));
  return isQuoted ? parts.map((part) => part.slice(1, -1)) : parts;
}

/** null: no number. */
function asDouble(value: Value): number | null {
  switch (value.type) {
    case 'LONG':
    case 'DOUBLE':
      return Number(value.value);
    case 'BOOLEAN':
      return value.value ? 1 : 0;
    default:
      return parseDouble(value.value);
  }
}

function asBoolean(value: Value): boolean {
  switch (value.type) {
    case 'LONG':
    case 'DOUBLE':
      return value.value > 0;
    case 'BOOLEAN':
      return value.value;
    default:
      return value.value.toLowerCase() === 'true';
  }
}

/**
 * What a duration or a number of repetitions requires.
 * @throws Error where the dynamic value is no number
 */
export function required({ defaultValue, dynamicValue }: Operand<number>, values: Values): number {
  const fallback = Math.trunc(defaultValue ?? 0);
  if (!dynamicValue?.sourceAttribute) return fallback;
  const value = values.dynamic(dynamicValue);
  if (value === null) return fallback;
  const number = asLong(value);
  if (number === null)
    throw new Error(`Could not convert attribute '${dynamicValue.sourceAttribute}' with value '${valueText(value)}' to numeric value!`);
  return number;
}

function asLong(value: Value): number | null {
  switch (value.type) {
    case 'LONG':
      return Number(value.value);
    case 'DOUBLE':
      return Number(toLong(value.value));
    case 'BOOLEAN':
      return value.value ? 1 : 0;
    default:
      return /^[-+]?\d{1,18}$/.test(value.value) ? Number(value.value) : null;
  }
}
