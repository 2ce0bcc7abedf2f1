import { type TNull, type TSchema, type TUnion, Type } from 'typebox';
import { ENTITY_TYPES } from '#engine/message.ts';
import { Config } from '#engine/schema.ts';

/** Fields and shapes that configurations of several nodes have. */

export interface FieldText {
  title: string;
  description: string;
  [annotation: string]: unknown;
}

/** A field that Java holds as an object: absent and null are the same, and mean "none". */
export const nullable = <S extends TSchema>(schema: S, text: FieldText): TUnion<[S, TNull]> => Type.Union([schema, Type.Null()], { ...text });

/** Texts of a list; Java's lists may hold null. */
export const texts = (text: FieldText) => nullable(Type.Array(Type.Union([Type.String(), Type.Null()])), text);

/** Nodes without settings; what files hold there (`{"version": 0}`) is kept and means nothing. */
export const NO_CONFIG = {
  config: Config({
    version: Type.Optional(Type.Integer({ title: 'Version', description: 'Kept for old files; it has no meaning.', advanced: true })),
  }),
  defaults: { version: 0 },
  anyKey: true,
} as const;

export const scope = (text: FieldText) => nullable(Type.String(), { ...text, examples: ['SERVER_SCOPE', 'SHARED_SCOPE', 'CLIENT_SCOPE'] });

export const fetchTo = nullable(Type.Enum(['DATA', 'METADATA']), {
  title: 'Add to',
  description: 'Data takes the values with their JSON types and must be an object; metadata takes them as text.',
});

export const direction = nullable(Type.Enum(['FROM', 'TO']), { title: 'Direction', description: 'From the originator, or to it.' });

/** The relation search that several nodes configure. */
export const relationsQuery = (text: FieldText) =>
  nullable(
    Type.Object({
      direction,
      maxLevel: Type.Integer({ title: 'Levels', description: 'How far the search goes; 0 has no limit.' }),
      fetchLastLevelOnly: Type.Boolean({ title: 'Last level only', description: 'Leaves out what is found on the way.' }),
      filters: nullable(
        Type.Array(
          Type.Object({
            relationType: nullable(Type.String(), {
              title: 'Relation type',
              description: 'As the relation was saved, for example Contains; empty: every type.',
            }),
            entityTypes: nullable(Type.Array(Type.Enum([...ENTITY_TYPES])), { title: 'Entity types', description: 'Empty: every type.' }),
            negate: Type.Boolean({ title: 'Not', description: 'Kept for old files; the search does not look at it.', advanced: true }),
          }),
        ),
        { title: 'Filters', description: 'A relation that fits one of them is followed. None: every relation.' },
      ),
    }),
    text,
  );

export const DEFAULT_RELATIONS_QUERY = {
  direction: 'FROM',
  maxLevel: 1,
  filters: [{ relationType: 'Contains', entityTypes: [], negate: false }],
  fetchLastLevelOnly: false,
} as const;
