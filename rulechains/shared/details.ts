import { Type } from 'typebox';
import type { Message } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import { checkFetchTo, enriched, type FetchTo } from './enrich.ts';
import { fetchTo, nullable } from './fields.ts';

/** Contact data of a customer or of the tenant, added to the message. */

const DETAILS = ['ID', 'TITLE', 'COUNTRY', 'CITY', 'STATE', 'ZIP', 'ADDRESS', 'ADDRESS2', 'PHONE', 'EMAIL', 'ADDITIONAL_INFO'] as const;

export const detailsFields = {
  fetchTo,
  detailsList: nullable(Type.Array(Type.Enum([...DETAILS])), {
    title: 'Details',
    description: 'What is added; ADDITIONAL_INFO is the description. A detail that is not there is left out.',
  }),
} as const;

interface Details {
  readonly fetchTo: string | null;
  readonly detailsList: readonly (string | null)[] | null;
}

/** For `start`. @throws Error when the configuration can not be used. */
export function checkDetails({ fetchTo, detailsList }: Details): void {
  if (!detailsList?.length) throw new Error('At least one entity detail should be selected!');
  checkFetchTo(fetchTo);
}

/** @param prefix of the keys: `customer_title`. */
export function withDetails(message: Message, contact: Doc, prefix: string, { fetchTo, detailsList }: Details): Message {
  const found: [string, string][] = [];
  let value: string | null = null;
  for (const detail of detailsList ?? []) {
    if (detail === null) continue;
    const key = detail === 'ADDITIONAL_INFO' ? 'additionalInfo' : detail.toLowerCase();
    // Without a description it repeats what came before it, as in the original (rule-nodes §3.3).
    value = detail === 'ADDITIONAL_INFO' ? (descriptionOf(contact) ?? value) : textOf(contact, key);
    if (value !== null) found.push([`${prefix}_${key}`, value]);
  }
  return enriched(message, fetchTo as FetchTo, found);
}

function textOf({ id, name, body }: Doc, key: string): string | null {
  if (key === 'id') return id;
  if (key === 'title') return name;
  const value = body[key] ?? null;
  return value === null ? null : String(value);
}

function descriptionOf({ body }: Doc): string | null {
  const info = body['additionalInfo'] as { description?: unknown } | null | undefined;
  const description = typeof info === 'object' ? (info?.description ?? null) : null;
  if (description === null) return null;
  return typeof description === 'object' ? '' : String(description);
}
