import { Type } from 'typebox';
import { firstJson, printJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { evaluate, startLookup } from '../../shared/json-path/evaluate.ts';
import { parsePath } from '../../shared/json-path/parser.ts';
import type { Path } from '../../shared/json-path/path.ts';

/** Takes the message as it is: whatever its data. */
const ROOT = '$';

export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbJsonPathNode',
  version: 0,
  family: 'TRANSFORMATION',
  label: 'json path',
  summary: 'Takes a part of the message data in place of the whole.',
  relations: ['Success'],
  config: Config({
    jsonPath: nullable(Type.String(), {
      title: 'JSON path',
      description:
        'In the dialect of Jayway: filters, wildcards and .. give an array, and functions can stand at the end. What is not there is a Failure.',
      examples: ['$.values[?(@.unit == "C")].value', '$.items.length()'],
    }),
  }),
  defaults: { jsonPath: ROOT },
  start({ config: { jsonPath } }): Path | null {
    if (!jsonPath) throw new Error('json can not be null or empty');
    return jsonPath === ROOT ? null : parsePath(jsonPath);
  },
  process(message, { state: path }) {
    if (path === null) return 'Success';
    const data = firstJson(message);
    return { to: 'Success', message: withChanges(message, { data: printJson(evaluate(path, startLookup(data), data)) }) };
  },
});
