import { backendContract } from '#test/contract/backend.ts';
import { keptContract } from '#test/contract/kept.ts';
import { queueContract } from '#test/contract/queue.ts';
import { sqlite } from '#test/support/backend.ts';

for (const under of [sqlite]) {
  backendContract(under);
  queueContract(under);
  keptContract(under);
}
