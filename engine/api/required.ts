import { badRequest } from './errors.ts';

const missingBody = () => badRequest('Required request body is missing');

/** The body of a route that reads raw text. @throws HttpError 400 when there is none. */
export function requiredText(body: unknown): string {
  if (typeof body !== 'string' || body.trim() === '') throw missingBody();
  return body;
}

/** The body of a route that takes an object of any keys. @throws HttpError 400 for anything else. */
export function requiredObject(body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) throw missingBody();
  if (typeof body !== 'object' || Array.isArray(body)) throw badRequest('The request body is not a JSON object');
  return body as Record<string, unknown>;
}

/** `{entityType, id}` of a field, or null when it is absent. @throws HttpError 400 when it is something else or of another type. */
export function idOf(body: Record<string, unknown>, field: string, entityType: string): string | null {
  const value = body[field];
  if (value === undefined || value === null) return null;
  const { entityType: type = entityType, id } = value as { entityType?: unknown; id?: unknown };
  if (typeof id !== 'string' || type !== entityType) throw badRequest(`Validation error: ${field} is not the id of ${entityType}`);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw badRequest(`Invalid UUID string: ${id}`);
  return id.toLowerCase();
}

/** Node decodes whatever it is given; a typing error should not become other bytes. */
export const isBase64 = (text: string): boolean => /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text);
