import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchema,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { badRequest, type HttpError, notFound } from './errors.ts';
import { uuid } from './paging.ts';

/** Schemas that routes share, and how requests are held against them: leniently where ThingsBoard's clients need it (specs: rest-api §1.1, §1.7). */

/** For `app.withTypeProvider<TypeBoxTypeProvider>()`: request types come from the route's schema. */
export type App = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, FastifyBaseLogger, TypeBoxTypeProvider>;
export const typed = (app: FastifyInstance): App => app.withTypeProvider<TypeBoxTypeProvider>();

export const Uuid = Type.String({ format: 'uuid', description: 'UUID.' });
export const IdParams = Type.Object({ id: Uuid });

/** `null` and absent are the same in requests. */
export const Maybe = <S extends TSchema>(schema: S) => Type.Optional(Type.Union([schema, Type.Null()]));

/** `{entityType, id}`; a field of one type may leave `entityType` out. */
export const IdOf = (entityType: string) =>
  Type.Object({ entityType: Type.Optional(Type.Literal(entityType)), id: Uuid }, { additionalProperties: true, title: `Id of ${entityType}` });

/** Polymorphic: needs both. */
export const AnyId = Type.Object({ entityType: Type.String(), id: Uuid }, { additionalProperties: true, title: 'EntityId' });

export const AnyJson = Type.Unknown({ description: 'Any JSON; kept as it is.' });

/** Bodies may carry more than we know: clients send back what they got. */
export const Body = <P extends Record<string, TSchema>>(properties: P, title?: string) =>
  Type.Object(properties, { additionalProperties: true, title });

/** Query lists come repeated or joined by commas: `idList()` reads them. */
export const IdList = Type.Array(Type.String(), { description: 'Ids, repeated or joined by commas.' });

type Json = Record<string, unknown>;
/** What JSON Schema keywords we look at. */
type Shape = TSchema & {
  type?: string;
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape;
  anyOf?: Shape[];
  format?: string;
};

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A copy in which scalars have the type that the schema wants, where the text says so without doubt, and `null` stands for absent. */
function lenient(schema: Shape, value: unknown): unknown {
  if (schema.anyOf) {
    if (value === null) return null;
    const other = schema.anyOf.filter((part) => part.type !== 'null');
    return other.length === 1 ? lenient(other[0]!, value) : value;
  }
  switch (schema.type) {
    case 'string': {
      const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
      return schema.format === 'uuid' && typeof text === 'string' ? text.toLowerCase() : text;
    }
    case 'integer':
    case 'number':
      return typeof value === 'string' && /^[-+]?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'array':
      return Array.isArray(value) && schema.items ? value.map((item) => lenient(schema.items!, item)) : value;
    case 'object':
      return isObject(value) && schema.properties ? lenientObject(schema, value) : value;
    default:
      return value;
  }
}

function lenientObject(schema: Shape, value: Json): Json {
  const copy: Json = { ...value };
  for (const [key, part] of Object.entries(schema.properties!)) {
    if (!Object.hasOwn(copy, key)) continue;
    if (copy[key] === null && !part.anyOf && part.type !== undefined) delete copy[key];
    else copy[key] = lenient(part, copy[key]);
  }
  return copy;
}

/** Query values are texts or lists of texts; blank means absent, but for what is required. */
function lenientQuery(schema: Shape, value: Json): Json {
  const query: Json = {};
  for (const [key, raw] of Object.entries(value)) {
    const part = schema.properties?.[key];
    if (!part) query[key] = raw;
    else if (part.type === 'array') query[key] = Array.isArray(raw) ? raw : String(raw).split(',');
    else {
      const text = Array.isArray(raw) ? raw[0] : raw;
      if (text !== '' || schema.required?.includes(key)) query[key] = lenient(part, text);
    }
  }
  return query;
}

const FIRST = 3;

function refusal(part: string, errors: { instancePath: string; message: string; params?: unknown }[]): HttpError {
  const texts = errors.slice(0, FIRST).map((error) => {
    const path = error.instancePath.slice(1).replaceAll('/', '.');
    return path ? `${path} ${error.message}` : error.message;
  });
  return badRequest(`Validation error: ${part === 'body' ? '' : `${part}: `}${texts.join('; ')}`);
}

/** Required keys first: the plainest mistake, with the plainest words. */
function absent(schema: Shape, value: Json, part: string): HttpError | null {
  const key = schema.required?.find((name) => value[name] === undefined);
  if (key === undefined) return null;
  return badRequest(part === 'body' ? `Validation error: ${key} must not be null` : `Required request parameter '${key}' is not present`);
}

/** Compiled with the first request, so that a start does not pay for routes nobody calls. */
export function compileValidator({ schema, httpPart }: { schema: FastifySchema; httpPart?: string }) {
  const shape = schema as unknown as Shape;
  let validator: ReturnType<typeof Compile> | undefined;
  return (value: unknown): { value: unknown } | { error: Error } => {
    validator ??= Compile(shape);
    if (httpPart === 'params') return params(shape, value as Json);
    if (httpPart === 'body' && value === undefined) return { error: badRequest('Required request body is missing') };
    const candidate = httpPart === 'querystring' ? lenientQuery(shape, value as Json) : lenient(shape, value);
    if (isObject(candidate) && shape.type === 'object') {
      const error = absent(shape, candidate, httpPart ?? 'body');
      if (error) return { error };
    }
    if (validator.Check(candidate)) return { value: candidate };
    return { error: refusal(httpPart ?? 'body', validator.Errors(candidate) as never) };
  };
}

function params(shape: Shape, value: Json): { value: unknown } | { error: Error } {
  const copy = { ...value };
  try {
    for (const [key, part] of Object.entries(shape.properties ?? {})) {
      if (part.format !== 'uuid') continue;
      // `/api/device/`: the router takes nothing for an id, we do not.
      if (copy[key] === '') throw notFound('Nothing is served at this path');
      copy[key] = uuid(String(copy[key]));
    }
    return { value: copy };
  } catch (error) {
    return { error: error as Error };
  }
}
