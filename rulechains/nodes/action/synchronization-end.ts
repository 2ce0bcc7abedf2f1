import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

/** Does nothing: it is there so that old chains load. The queue SequentialByOriginator gives what it once did. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transaction.TbSynchronizationEndNode',
  version: 0,
  family: 'ACTION',
  label: 'synchronization end',
  summary: 'Deprecated: lets every message through.',
  relations: ['Success'],
  ...NO_CONFIG,
  process: () => 'Success',
});
