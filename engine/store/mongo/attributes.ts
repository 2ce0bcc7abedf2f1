import type { Collection } from 'mongodb';
import { ATTRIBUTE_SCOPES, type AttributeScope, type EntityRef } from '#engine/message.ts';
import type { Attribute } from '#engine/store.ts';
import type { AttributeWrite, Work } from '#engine/work.ts';
import { type Cell, cellOf, fromCell, typeNumber } from '../values.ts';
import { Outcome, under } from './outcome.ts';
import type { Part, Transaction } from './transaction.ts';

export interface StoredAttribute {
  /** `TENANT/TYPE/ID/SCOPE/KEY` */
  readonly _id: string;
  readonly tenantId: string;
  readonly key: string;
  readonly ts: number;
  readonly type: number;
  readonly value: Cell;
}

const prefixOf = (tenantId: string, { entityType, id }: EntityRef): string => `${tenantId}/${entityType}/${id}/`;
const scopePrefix = (tenantId: string, entity: EntityRef, scope: AttributeScope): string =>
  `${prefixOf(tenantId, entity)}${ATTRIBUTE_SCOPES.indexOf(scope)}/`;

export const storedAttribute = ({ tenantId, entity, scope, key, value, lastUpdateTs }: AttributeWrite): StoredAttribute => ({
  _id: scopePrefix(tenantId, entity, scope) + key,
  tenantId,
  key,
  ts: lastUpdateTs,
  type: typeNumber(value),
  value: cellOf(value),
});

/** One document an attribute: a device with many large ones never comes to the 16 MB that a document may have. */
export class Attributes implements Part {
  private readonly attributes: Collection<StoredAttribute>;

  constructor({ attributes }: { attributes: Collection<StoredAttribute> }) {
    this.attributes = attributes;
  }

  async write(works: readonly Work[], { session }: Transaction): Promise<void> {
    const outcome = new Outcome<StoredAttribute>();
    for (const work of works) {
      for (const write of work.attributes) {
        if ('keys' in write) {
          const prefix = scopePrefix(write.tenantId, write.entity, write.scope);
          for (const key of write.keys) outcome.remove(write.tenantId, prefix + key);
        } else outcome.save(storedAttribute(write));
      }
      for (const { tenantId, entity } of work.purges) {
        const prefix = prefixOf(tenantId, entity);
        outcome.purge({ tenantId, _id: under(prefix) }, ({ _id }) => _id.startsWith(prefix));
      }
    }
    await outcome.write(this.attributes, session);
  }

  async read(tenantId: string, entity: EntityRef, scope: AttributeScope, keys?: readonly string[]): Promise<Attribute[]> {
    const prefix = scopePrefix(tenantId, entity, scope);
    const rows = await this.attributes
      .find({ tenantId, _id: keys ? { $in: keys.map((key) => prefix + key) } : under(prefix) })
      .sort({ _id: 1 })
      .toArray();
    return rows.map(({ key, type, value, ts }) => ({ key, value: fromCell(type, value), lastUpdateTs: ts }));
  }
}
