/** Numbers keep what their text said (traps T1, T2): `1` is LONG, `1.0` is DOUBLE, 64-bit integers stay exact. */
export class Double {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/**
 * A parsed JSON value. A plain `number` is either a whole number that JS holds exactly (LONG) or one with a fraction (DOUBLE);
 * what JS alone would change is a `Double` (whole value written as double: `42.0`, `1e5`; `-0.0`; beyond range) or a `bigint`.
 */
export type Json = null | boolean | string | number | bigint | Double | Json[] | { [key: string]: Json };

/** A typed value as it is stored (specs: rule-nodes §2.5). JSON values are kept as text. */
export type Value =
  | { readonly type: 'BOOLEAN'; readonly value: boolean }
  | { readonly type: 'LONG'; readonly value: number | bigint }
  | { readonly type: 'DOUBLE'; readonly value: number }
  | { readonly type: 'STRING'; readonly value: string }
  | { readonly type: 'JSON'; readonly value: string };

export type KeyValue = readonly [key: string, value: Value];

export interface Sample {
  readonly ts: number;
  readonly values: readonly KeyValue[];
}
