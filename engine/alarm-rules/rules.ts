import type { Severity } from '#engine/services.ts';

/** Alarm rules of device profiles, `profileData.alarms` (specs: rule-nodes §3.5 "device profile"): the JSON as it is stored. */

/** Most severe first. */
export const SEVERITIES: readonly Severity[] = ['CRITICAL', 'MAJOR', 'MINOR', 'WARNING', 'INDETERMINATE'];

export const KEY_TYPES = ['ATTRIBUTE', 'TIME_SERIES', 'ENTITY_FIELD', 'CONSTANT'] as const;
export const VALUE_TYPES = ['STRING', 'NUMERIC', 'BOOLEAN', 'DATE_TIME'] as const;
export const SOURCES = ['CURRENT_TENANT', 'CURRENT_CUSTOMER', 'CURRENT_USER', 'CURRENT_DEVICE'] as const;
export const OPERATIONS = {
  STRING: ['EQUAL', 'NOT_EQUAL', 'STARTS_WITH', 'ENDS_WITH', 'CONTAINS', 'NOT_CONTAINS', 'IN', 'NOT_IN'],
  NUMERIC: ['EQUAL', 'NOT_EQUAL', 'GREATER', 'LESS', 'GREATER_OR_EQUAL', 'LESS_OR_EQUAL'],
  BOOLEAN: ['EQUAL', 'NOT_EQUAL'],
  COMPLEX: ['AND', 'OR'],
} as const;
export const TIME_UNITS = ['NANOSECONDS', 'MICROSECONDS', 'MILLISECONDS', 'SECONDS', 'MINUTES', 'HOURS', 'DAYS'] as const;

export interface DynamicValue {
  readonly sourceType: (typeof SOURCES)[number];
  readonly sourceAttribute: string | null;
  /** Where the device has none its customer's is taken, then the tenant's. */
  readonly inherit: boolean;
}

export interface Operand<T> {
  readonly defaultValue: T | null;
  /** Kept for clients; it has no meaning here. */
  readonly userValue: T | null;
  readonly dynamicValue: DynamicValue | null;
}

export type Predicate =
  | {
      readonly type: 'STRING';
      readonly operation: (typeof OPERATIONS.STRING)[number];
      readonly value: Operand<string>;
      readonly ignoreCase: boolean;
    }
  | { readonly type: 'NUMERIC'; readonly operation: (typeof OPERATIONS.NUMERIC)[number]; readonly value: Operand<number> }
  | { readonly type: 'BOOLEAN'; readonly operation: (typeof OPERATIONS.BOOLEAN)[number]; readonly value: Operand<boolean> }
  | { readonly type: 'COMPLEX'; readonly operation: (typeof OPERATIONS.COMPLEX)[number]; readonly predicates: readonly Predicate[] };

export interface Filter {
  readonly key: { readonly type: (typeof KEY_TYPES)[number]; readonly key: string };
  readonly valueType: (typeof VALUE_TYPES)[number] | null;
  /** Of a CONSTANT. */
  readonly value: string | number | boolean | null;
  readonly predicate: Predicate;
}

export type Spec =
  | { readonly type: 'SIMPLE' }
  | { readonly type: 'DURATION'; readonly unit: (typeof TIME_UNITS)[number]; readonly predicate: Operand<number> }
  | { readonly type: 'REPEATING'; readonly predicate: Operand<number> };

/** Times of day in ms from midnight; an end of 0 is the end of the day, an end before the start is past midnight. Days: 1 is Monday. */
export type Schedule =
  | { readonly type: 'ANY_TIME'; readonly dynamicValue: DynamicValue | null }
  | {
      readonly type: 'SPECIFIC_TIME';
      readonly timezone: string | null;
      readonly daysOfWeek: readonly number[];
      readonly startsOn: number;
      readonly endsOn: number;
      readonly dynamicValue: DynamicValue | null;
    }
  | {
      readonly type: 'CUSTOM';
      readonly timezone: string | null;
      readonly items: readonly { readonly enabled: boolean; readonly dayOfWeek: number; readonly startsOn: number; readonly endsOn: number }[];
      readonly dynamicValue: DynamicValue | null;
    };

export interface AlarmRule {
  readonly condition: { readonly condition: readonly Filter[]; readonly spec: Spec | null };
  readonly schedule: Schedule | null;
  /** Pattern: `${key}` of the condition's keys. */
  readonly alarmDetails: string | null;
  readonly dashboardId: { readonly entityType: 'DASHBOARD'; readonly id: string } | null;
}

export interface ProfileAlarm {
  readonly id: string;
  readonly alarmType: string;
  readonly createRules: { readonly [S in Severity]?: AlarmRule };
  readonly clearRule: AlarmRule | null;
  readonly propagate: boolean;
  readonly propagateToOwner: boolean;
  readonly propagateToTenant: boolean;
  readonly propagateRelationTypes: readonly string[] | null;
}
