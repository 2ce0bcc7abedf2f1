import { ConfigError } from '#engine/errors.ts';
import { zoneOf } from '#engine/zones.ts';
import {
  type AlarmRule,
  type DynamicValue,
  type Filter,
  KEY_TYPES,
  OPERATIONS,
  type Operand,
  type Predicate,
  type ProfileAlarm,
  type Schedule,
  SEVERITIES,
  SOURCES,
  type Spec,
  TIME_UNITS,
  VALUE_TYPES,
} from './rules.ts';

/** Alarm rules as clients send them, in every form that was released (3.2 wrote keys and specs otherwise), made into the stored one. Unknown keys are left out. */

type Fields = Readonly<Record<string, unknown>>;

const wrong = (path: string, message: string): ConfigError => new ConfigError([{ path, message }]);

/** As deep as a complex predicate may be. */
const DEEPEST = 20;
const DAY_MS = 86_400_000;

/** @throws ConfigError with the path of the first problem */
export function readProfileAlarms(json: unknown): ProfileAlarm[] | null {
  if (json === null || json === undefined) return null;
  const alarms = list(json, 'profileData.alarms').map((alarm, index) => readAlarm(alarm, `profileData.alarms.${index}`));
  const types = new Set<string>();
  for (const { alarmType } of alarms) {
    if (types.has(alarmType)) throw new ConfigError(`Can't create device profile with the same alarm rule types: "${alarmType}"!`);
    types.add(alarmType);
  }
  return alarms;
}

function readAlarm(json: unknown, path: string): ProfileAlarm {
  const alarm = object(json, path);
  const alarmType = text(alarm, 'alarmType', path);
  if (!alarmType) throw new ConfigError('Alarm rule type should be specified!');
  const rules = alarm['createRules'] ?? {};
  const created = object(rules, `${path}.createRules`);
  const createRules: { -readonly [S in keyof ProfileAlarm['createRules']]: AlarmRule } = {};
  for (const severity of Object.keys(created)) word(severity, SEVERITIES, `${path}.createRules`);
  for (const severity of SEVERITIES) {
    const rule = created[severity] ?? null;
    if (rule !== null) createRules[severity] = readRule(rule, `${path}.createRules.${severity}`);
  }
  const types = alarm['propagateRelationTypes'] ?? null;
  return {
    // The type is as unique within a profile.
    id: text(alarm, 'id', path) || alarmType,
    alarmType,
    createRules,
    clearRule: (alarm['clearRule'] ?? null) === null ? null : readRule(alarm['clearRule'], `${path}.clearRule`),
    propagate: flag(alarm, 'propagate', path),
    propagateToOwner: flag(alarm, 'propagateToOwner', path),
    propagateToTenant: flag(alarm, 'propagateToTenant', path),
    propagateRelationTypes: types === null ? null : list(types, `${path}.propagateRelationTypes`).map(String),
  };
}

function readRule(json: unknown, path: string): AlarmRule {
  const rule = object(json, path);
  const condition = object(rule['condition'], `${path}.condition`);
  const filters = list(condition['condition'], `${path}.condition.condition`);
  const spec = condition['spec'] ?? null;
  const schedule = rule['schedule'] ?? null;
  const dashboard = rule['dashboardId'] ?? null;
  return {
    condition: {
      condition: filters.map((filter, index) => readFilter(filter, `${path}.condition.condition.${index}`)),
      spec: spec === null ? null : readSpec(spec, `${path}.condition.spec`),
    },
    schedule: schedule === null ? null : readSchedule(schedule, `${path}.schedule`),
    alarmDetails: text(rule, 'alarmDetails', path),
    dashboardId: dashboard === null ? null : { entityType: 'DASHBOARD', id: text(object(dashboard, `${path}.dashboardId`), 'id', path) ?? '' },
  };
}

function readFilter(json: unknown, path: string): Filter {
  const filter = object(json, path);
  const key = object(filter['key'], `${path}.key`);
  const name = text(key, 'key', `${path}.key`);
  if (name === null) throw wrong(`${path}.key.key`, 'must not be null');
  // Older files name the scope; any of them is meant.
  const type = String(key['type']).replace(/^(?:CLIENT|SERVER|SHARED)_ATTRIBUTE$/, 'ATTRIBUTE');
  const value = filter['value'] ?? null;
  if (value !== null && typeof value === 'object') throw wrong(`${path}.value`, 'must be a text, a number or a boolean');
  return {
    key: { type: word(type, KEY_TYPES, `${path}.key.type`), key: name },
    valueType: (filter['valueType'] ?? null) === null ? null : word(filter['valueType'], VALUE_TYPES, `${path}.valueType`),
    value: value as Filter['value'],
    predicate: readPredicate(filter['predicate'], `${path}.predicate`, 0),
  };
}

function readPredicate(json: unknown, path: string, depth: number): Predicate {
  if (depth > DEEPEST) throw wrong(path, 'is nested too deep');
  const predicate = object(json, path);
  const type = word(predicate['type'], ['STRING', 'NUMERIC', 'BOOLEAN', 'COMPLEX'], `${path}.type`);
  const operation = <O extends string>(operations: readonly O[]): O => word(predicate['operation'], operations, `${path}.operation`);
  switch (type) {
    case 'STRING': {
      const value = readOperand(predicate['value'], `${path}.value`, (given) => (typeof given === 'object' ? undefined : String(given)));
      return { type, operation: operation(OPERATIONS.STRING), value, ignoreCase: flag(predicate, 'ignoreCase', path) };
    }
    case 'NUMERIC':
      return { type, operation: operation(OPERATIONS.NUMERIC), value: readOperand(predicate['value'], `${path}.value`, asNumber) };
    case 'BOOLEAN':
      return { type, operation: operation(OPERATIONS.BOOLEAN), value: readOperand(predicate['value'], `${path}.value`, asBoolean) };
    case 'COMPLEX': {
      const predicates = list(predicate['predicates'], `${path}.predicates`);
      return {
        type,
        operation: operation(OPERATIONS.COMPLEX),
        predicates: predicates.map((inner, index) => readPredicate(inner, `${path}.predicates.${index}`, depth + 1)),
      };
    }
  }
}

const asNumber = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
};
const asBoolean = (value: unknown): boolean | undefined =>
  typeof value === 'boolean' ? value : value === 'true' || value === 'false' ? value === 'true' : undefined;

/** @param read gives undefined for what it can not take. */
function readOperand<T>(json: unknown, path: string, read: (value: unknown) => T | undefined): Operand<T> {
  const operand = object(json, path);
  const value = (key: string): T | null => {
    const given = operand[key] ?? null;
    if (given === null) return null;
    const taken = read(given);
    if (taken === undefined) throw wrong(`${path}.${key}`, 'has the wrong type');
    return taken;
  };
  return {
    defaultValue: value('defaultValue'),
    userValue: value('userValue'),
    dynamicValue: readDynamic(operand['dynamicValue'], `${path}.dynamicValue`),
  };
}

function readDynamic(json: unknown, path: string): DynamicValue | null {
  if (json === null || json === undefined) return null;
  const dynamic = object(json, path);
  // What the form of the original leaves behind when nothing is chosen.
  if ((dynamic['sourceType'] ?? null) === null) return null;
  return {
    sourceType: word(dynamic['sourceType'], SOURCES, `${path}.sourceType`),
    sourceAttribute: text(dynamic, 'sourceAttribute', path),
    inherit: flag(dynamic, 'inherit', path),
  };
}

function readSpec(json: unknown, path: string): Spec {
  const spec = object(json, path);
  const type = word(spec['type'], ['SIMPLE', 'DURATION', 'REPEATING'], `${path}.type`);
  // 3.2 had plain numbers: `value` of a duration, `count` of repetitions.
  const required = (older: string): Operand<number> => {
    const predicate = spec['predicate'] ?? { defaultValue: spec[older] };
    const operand = readOperand(predicate, `${path}.predicate`, asNumber);
    if (operand.defaultValue === null) throw wrong(`${path}.predicate.defaultValue`, 'must not be null');
    return operand;
  };
  if (type === 'SIMPLE') return { type };
  if (type === 'REPEATING') return { type, predicate: required('count') };
  return { type, unit: word(spec['unit'], TIME_UNITS, `${path}.unit`), predicate: required('value') };
}

/** Also of attributes that hold a schedule. @throws ConfigError */
export function readSchedule(json: unknown, path: string): Schedule {
  const schedule = object(json, path);
  const type = word(schedule['type'], ['ANY_TIME', 'SPECIFIC_TIME', 'CUSTOM'], `${path}.type`);
  const dynamicValue = readDynamic(schedule['dynamicValue'], `${path}.dynamicValue`);
  if (type === 'ANY_TIME') return { type, dynamicValue };
  const timezone = text(schedule, 'timezone', path);
  if (timezone) checkZone(timezone, `${path}.timezone`);
  if (type === 'SPECIFIC_TIME') {
    const days = list(schedule['daysOfWeek'], `${path}.daysOfWeek`);
    const daysOfWeek = days.map((day, index) => whole(day, 1, 7, `${path}.daysOfWeek.${index}`));
    return { type, timezone, daysOfWeek, ...times(schedule, path), dynamicValue };
  }
  const items = list(schedule['items'], `${path}.items`).map((json, index) => {
    const at = `${path}.items.${index}`;
    const item = object(json, at);
    return { enabled: flag(item, 'enabled', at), dayOfWeek: whole(item['dayOfWeek'], 1, 7, `${at}.dayOfWeek`), ...times(item, at) };
  });
  return { type, timezone, items, dynamicValue };
}

const times = (fields: Fields, path: string) => ({
  startsOn: whole(fields['startsOn'] ?? 0, 0, DAY_MS, `${path}.startsOn`),
  endsOn: whole(fields['endsOn'] ?? 0, 0, DAY_MS, `${path}.endsOn`),
});

/** Java's offsets are written in more ways: `UTC+2`, `GMT+02:00`, `Z`. */
export function zoneName(timezone: string | null): string {
  const offset = /^(?:UTC|GMT|UT)?([+-])(\d{1,2})(?::?(\d{2}))?$/.exec(timezone ?? '');
  if (offset) return `${offset[1]}${offset[2]!.padStart(2, '0')}:${offset[3] ?? '00'}`;
  return !timezone || timezone === 'Z' ? 'UTC' : timezone;
}

function checkZone(timezone: string, path: string): void {
  try {
    zoneOf(zoneName(timezone));
  } catch {
    throw wrong(path, `Unknown time-zone ID: ${timezone}`);
  }
}

function object(value: unknown, path: string): Fields {
  if (value === null || value === undefined) throw wrong(path, 'must not be null');
  if (typeof value !== 'object' || Array.isArray(value)) throw wrong(path, 'must be an object');
  return value as Fields;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === null || value === undefined) throw wrong(path, 'must not be null');
  if (!Array.isArray(value)) throw wrong(path, 'must be a list');
  return value;
}

function word<W extends string>(value: unknown, words: readonly W[], path: string): W {
  if (!words.includes(value as W)) throw wrong(path, `must be one of ${words.join(', ')}`);
  return value as W;
}

function text(fields: Fields, key: string, path: string): string | null {
  const value = fields[key] ?? null;
  if (value !== null && typeof value !== 'string') throw wrong(`${path}.${key}`, 'must be a text');
  return value;
}

function flag(fields: Fields, key: string, path: string): boolean {
  const value = fields[key] ?? false;
  if (typeof value !== 'boolean') throw wrong(`${path}.${key}`, 'must be true or false');
  return value;
}

function whole(value: unknown, least: number, most: number, path: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    throw wrong(path, `must be a whole number from ${least} to ${most}`);
  return value;
}
