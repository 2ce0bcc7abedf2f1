import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';

/** Writes into tables of Cassandra, which this server does not have: the node is kept with its settings and can not be used. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbSaveToCustomCassandraTableNode',
  version: 1,
  family: 'ACTION',
  label: 'save to custom table',
  summary: 'Writes to a table of Cassandra. There is no Cassandra here: it can not be used.',
  relations: ['Success'],
  chainTypes: ['CORE'],
  config: Config({
    tableName: nullable(Type.String(), { title: 'Table', description: 'Without its prefix cs_tb_.' }),
    fieldsMapping: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
      title: 'Columns',
      description: 'Key in the data → column; $entityId stands for the originator.',
    }),
    defaultTtl: Type.Integer({ title: 'Time to live', description: '0: for ever.', unit: 's' }),
  }),
  defaults: { tableName: '', fieldsMapping: { '': '' }, defaultTtl: 0 },
  upgrades: [(config) => ({ ...config, defaultTtl: config['defaultTtl'] ?? 0 })],
  start() {
    throw new Error('Unable to connect to Cassandra database');
  },
  process: () => 'Success',
});
