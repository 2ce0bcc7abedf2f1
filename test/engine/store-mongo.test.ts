import { describe } from 'node:test';
import { storeContract } from '#test/contract/store.ts';
import { missingServer, mongo } from '#test/support/mongo-backend.ts';

describe('on MongoDB', { skip: missingServer() }, () => storeContract(mongo));
