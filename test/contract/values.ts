import type { Value } from '#engine/json.ts';

export const long = (value: number | bigint): Value => ({ type: 'LONG', value });
export const double = (value: number): Value => ({ type: 'DOUBLE', value });
export const text = (value: string): Value => ({ type: 'STRING', value });
export const yes: Value = { type: 'BOOLEAN', value: true };
