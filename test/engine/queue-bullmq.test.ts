import { describe } from 'node:test';
import { backendContract } from '#test/contract/backend.ts';
import { keptContract } from '#test/contract/kept.ts';
import { queueContract } from '#test/contract/queue.ts';
import { missingServer, mongo } from '#test/support/mongo-backend.ts';

describe('on BullMQ and MongoDB', { skip: missingServer() }, () => {
  backendContract(mongo);
  queueContract(mongo);
  keptContract(mongo);
});
