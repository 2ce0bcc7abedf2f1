import type { Collection, Filter } from 'mongodb';
import type { Work } from '#engine/work.ts';
import { Outcome, purgeAhead, under } from './outcome.ts';
import { type PackedText, packText, unpackText } from './text.ts';
import type { Part, Step, Transaction } from './transaction.ts';

/** `nodeStates`: what a rule node remembers under one key. */
export interface StoredNodeState {
  /** `NODE/KEY` */
  readonly _id: string;
  readonly tenantId: string;
  /** JSON */
  readonly value: PackedText;
}

type NodeState = Work['nodeStates'][number];

const idOf = (nodeId: string, key: string): string => `${nodeId}/${key}`;

export const storedNodeState = ({ tenantId, nodeId, key, value }: NodeState): StoredNodeState => ({
  _id: idOf(nodeId, key),
  tenantId,
  value: packText(JSON.stringify(value)),
});

export function toNodeState({ _id, tenantId, value }: StoredNodeState): NodeState {
  const slash = _id.indexOf('/');
  return { tenantId, nodeId: _id.slice(0, slash), key: _id.slice(slash + 1), value: JSON.parse(unpackText(value)) as unknown };
}

export class NodeStates implements Part {
  private readonly nodeStates: Collection<StoredNodeState>;

  constructor({ nodeStates }: { nodeStates: Collection<StoredNodeState> }) {
    this.nodeStates = nodeStates;
  }

  async write(works: readonly Work[], { session }: Transaction): Promise<void> {
    const outcome = new Outcome<StoredNodeState>();
    for (const work of works) {
      for (const state of work.nodeStates) {
        if (state.value === null || state.value === undefined) outcome.remove(state.tenantId, idOf(state.nodeId, state.key));
        else outcome.save(storedNodeState(state));
      }
      for (const gone of purgesOf(work)) outcome.purge(gone.filter, gone.fits);
    }
    await outcome.write(this.nodeStates, session);
  }

  /** What a deleted node, or those of a deleted tenant, remembered. */
  async ahead(work: Work, commit: (step: Step) => Promise<void>): Promise<void> {
    for (const { filter } of purgesOf(work)) await purgeAhead(this.nodeStates, filter, commit);
  }

  async read(tenantId: string, nodeId: string, key: string): Promise<unknown> {
    const state = await this.nodeStates.findOne({ _id: idOf(nodeId, key), tenantId });
    return state && toNodeState(state).value;
  }
}

interface Purge {
  readonly filter: Filter<StoredNodeState>;
  readonly fits: (state: StoredNodeState) => boolean;
}

function purgesOf({ purges }: Work): Purge[] {
  return purges.flatMap(({ tenantId, entity: { entityType, id } }): Purge[] => {
    const prefix = idOf(id, '');
    if (entityType === 'RULE_NODE')
      return [{ filter: { tenantId, _id: under(prefix) }, fits: (state) => state.tenantId === tenantId && state._id.startsWith(prefix) }];
    return entityType === 'TENANT' ? [{ filter: { tenantId }, fits: (state) => state.tenantId === tenantId }] : [];
  });
}
