import { Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import { nullable } from './fields.ts';

/** What "assign to customer" and "unassign from customer" share. */

export const customerNamePattern = (description: string) =>
  nullable(Type.String(), { title: 'Customer title', description, examples: ['${customer}'] });

const OWNED = ['DASHBOARD', 'ASSET', 'DEVICE', 'ENTITY_VIEW', 'EDGE'];

export function checkOwned({ originator: { entityType } }: Message): void {
  if (!OWNED.includes(entityType)) throw new Error(`Unsupported originator type '${entityType}'! Only ${OWNED.join(', ')} types are allowed.`);
}

/** Version 0 kept customers in a cache of its own. */
export const withoutCache = ({ customerCacheExpiration: _, ...config }: Record<string, unknown>): Record<string, unknown> => config;
