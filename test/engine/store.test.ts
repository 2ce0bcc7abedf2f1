import { storeContract } from '#test/contract/store.ts';
import { sqlite } from '#test/support/backend.ts';

for (const under of [sqlite]) storeContract(under);
