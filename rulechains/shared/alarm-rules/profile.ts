import { readProfileAlarms } from '#engine/alarm-rules/read.ts';
import { type AlarmRule, type DynamicValue, type Predicate, type ProfileAlarm, SEVERITIES, type Spec } from '#engine/alarm-rules/rules.ts';
import type { Severity } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { attributeKey, keyName } from './condition.ts';

/** The alarm rules of a device profile, made ready. */

export interface Rule {
  /** `CRITICAL`, …; of the clear rule `CLEAR`. */
  readonly name: Severity | 'CLEAR';
  readonly rule: AlarmRule;
  readonly spec: Spec;
  /** A message that changes none of them leaves the rule alone. */
  readonly keys: ReadonlySet<string>;
  /** Then a change of attributes waits for the next telemetry. */
  readonly hasTelemetry: boolean;
  /** Attributes that its operands are taken from. */
  readonly dynamic: readonly DynamicValue[];
  /** Those that say how long, how often or when. */
  readonly limits: readonly DynamicValue[];
  /** What its duration waits for may come without a message of the device. */
  readonly isWatched: boolean;
}

export interface RuledAlarm {
  readonly alarm: ProfileAlarm;
  /** Most severe first. */
  readonly create: readonly (Rule & { readonly name: Severity })[];
  readonly clear: Rule | null;
}

export interface ProfileRules {
  readonly profileId: string;
  readonly profileVersion: number;
  readonly alarms: readonly RuledAlarm[];
  /** What the rules speak of: nothing else of a message matters. */
  readonly keys: ReadonlySet<string>;
  /** A rule needs what earlier messages said. */
  readonly remembers: boolean;
}

const RULES = new WeakMap<Doc, ProfileRules>();

/** Kept with the document: a changed profile is another one. @throws ConfigError for what is no alarm rule */
export function rulesOf(profile: Doc): ProfileRules {
  let rules = RULES.get(profile);
  if (!rules) {
    rules = compile(profile);
    RULES.set(profile, rules);
  }
  return rules;
}

function compile(profile: Doc): ProfileRules {
  const data = profile.body['profileData'] as { alarms?: unknown } | null | undefined;
  const alarms = (readProfileAlarms(data?.alarms) ?? []).map((alarm): RuledAlarm => {
    const create = SEVERITIES.flatMap((name) => {
      const rule = alarm.createRules[name];
      return rule ? [{ ...ready(rule, name), name }] : [];
    });
    return { alarm, create, clear: alarm.clearRule && ready(alarm.clearRule, 'CLEAR') };
  });
  const all = alarms.flatMap(rulesOfAlarm);
  const limits = all.flatMap((rule) => rule.limits.flatMap(({ sourceAttribute }) => (sourceAttribute ? [attributeKey(sourceAttribute)] : [])));
  return {
    profileId: profile.id,
    profileVersion: profile.version,
    alarms,
    keys: new Set([...all.flatMap(({ keys }) => [...keys]), ...limits]),
    remembers: all.some(({ keys, spec }) => spec.type !== 'SIMPLE' || [...keys].filter((key) => !key.startsWith('ENTITY_FIELD ')).length > 1),
  };
}

export const rulesOfAlarm = ({ create, clear }: RuledAlarm): readonly Rule[] => (clear ? [...create, clear] : create);

function ready(rule: AlarmRule, name: Rule['name']): Rule {
  const filters = rule.condition.condition;
  const dynamic = filters.flatMap(({ predicate }) => dynamicValues(predicate));
  const keys = new Set(filters.map(({ key }) => keyName(key)));
  for (const { sourceType, sourceAttribute } of dynamic)
    if (sourceAttribute && sourceType !== 'CURRENT_USER') keys.add(attributeKey(sourceAttribute));
  const spec = rule.condition.spec ?? { type: 'SIMPLE' };
  const schedule = rule.schedule?.type === 'ANY_TIME' ? null : rule.schedule;
  const limits = [spec.type === 'SIMPLE' ? null : spec.predicate.dynamicValue, schedule?.dynamicValue ?? null].filter((value) => value !== null);
  return {
    name,
    rule,
    spec,
    keys,
    hasTelemetry: filters.some(({ key }) => key.type === 'TIME_SERIES'),
    dynamic,
    limits,
    isWatched: schedule !== null || limits.some(({ sourceType, inherit }) => sourceType !== 'CURRENT_DEVICE' || inherit),
  };
}

function dynamicValues(predicate: Predicate): DynamicValue[] {
  if (predicate.type === 'COMPLEX') return predicate.predicates.flatMap(dynamicValues);
  return predicate.value.dynamicValue ? [predicate.value.dynamicValue] : [];
}
