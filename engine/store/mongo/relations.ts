import type { Collection, Filter } from 'mongodb';
import type { EntityRef, EntityType } from '#engine/message.ts';
import type { Relation } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import type { Setting } from './database.ts';
import { Outcome, under } from './outcome.ts';
import type { Part, Transaction } from './transaction.ts';

export interface StoredRelation {
  /** `TENANT/FROM TYPE/FROM ID/TO TYPE/TO ID/GROUP/TYPE` */
  readonly _id: string;
  readonly tenantId: string;
  readonly fromType: EntityType;
  readonly fromId: string;
  readonly toType: EntityType;
  readonly toId: string;
  readonly typeGroup: string;
  readonly type: string;
  readonly version: number;
  /** JSON; absent: none. */
  readonly info?: string;
}

const prefixOf = (tenantId: string, { entityType, id }: EntityRef): string => `${tenantId}/${entityType}/${id}/`;
/** The type may have any characters, because it is the last part; the group is kept from having the one between the parts. */
const idOf = (tenantId: string, { from, to, typeGroup, type }: Relation): string =>
  `${prefixOf(tenantId, from)}${to.entityType}/${to.id}/${typeGroup.replace(/[%/]/g, encodeURIComponent)}/${type}`;

export const storedRelation = (tenantId: string, relation: Relation, version: number): StoredRelation => ({
  _id: idOf(tenantId, relation),
  tenantId,
  fromType: relation.from.entityType,
  fromId: relation.from.id,
  toType: relation.to.entityType,
  toId: relation.to.id,
  typeGroup: relation.typeGroup,
  type: relation.type,
  version,
  ...(relation.additionalInfo === undefined ? {} : { info: JSON.stringify(relation.additionalInfo) }),
});

export const toRelation = (row: StoredRelation): Relation => ({
  from: { entityType: row.fromType, id: row.fromId },
  to: { entityType: row.toType, id: row.toId },
  type: row.type,
  typeGroup: row.typeGroup,
  version: row.version,
  ...(row.info === undefined ? {} : { additionalInfo: JSON.parse(row.info) }),
});

export class Relations implements Part {
  private readonly relations: Collection<StoredRelation>;
  private readonly settings: Collection<Setting>;

  constructor({ relations, settings }: { relations: Collection<StoredRelation>; settings: Collection<Setting> }) {
    this.relations = relations;
    this.settings = settings;
  }

  async write(works: readonly Work[], { session }: Transaction): Promise<void> {
    const saves = works.reduce((sum, { relations }) => sum + relations.filter((write) => 'save' in write).length, 0);
    let version = saves > 0 ? await this.versions(saves) : 0;
    const outcome = new Outcome<StoredRelation>();
    for (const work of works) {
      for (const write of work.relations) {
        if ('save' in write) outcome.save(storedRelation(write.tenantId, write.save, version++));
        else outcome.remove(write.tenantId, idOf(write.tenantId, write.remove));
      }
      for (const { tenantId, entity } of work.purges) {
        const prefix = prefixOf(tenantId, entity);
        outcome.purge({ tenantId, _id: under(prefix) }, ({ _id }) => _id.startsWith(prefix));
        outcome.purge(
          { tenantId, toId: entity.id, toType: entity.entityType },
          (row) => row.tenantId === tenantId && row.toId === entity.id && row.toType === entity.entityType,
        );
      }
    }
    await outcome.write(this.relations, session);
  }

  async read(
    tenantId: string,
    { from, to, type, typeGroup }: { from?: EntityRef; to?: EntityRef; type?: string; typeGroup?: string },
  ): Promise<Relation[]> {
    const filter: Filter<StoredRelation> = {
      tenantId,
      ...(from && { _id: under(prefixOf(tenantId, from)) }),
      ...(to && { toId: to.id, toType: to.entityType }),
      ...(typeGroup !== undefined && { typeGroup }),
      ...(type !== undefined && { type }),
    };
    return (await this.relations.find(filter).sort({ version: 1, _id: 1 }).toArray()).map(toRelation);
  }

  /**
   * The first of so many new numbers. One counter for the whole server, as clients know it from ThingsBoard (specs: rest-api §8, 1.1): outside the transaction,
   * because all that save relations would wait for each other at it. Numbers of a transaction that did not happen are missing, which nobody notices; of
   * two that save the same relation the later has the higher number. It is on the disk with the transaction, whose log entry is behind its own.
   */
  private async versions(count: number): Promise<number> {
    const after = await this.settings.findOneAndUpdate({ _id: 'relationVersion' }, { $inc: { value: count } } as object, {
      returnDocument: 'after',
      upsert: true,
      writeConcern: { w: 1, journal: false },
    });
    return Number(after?.value) - count + 1;
  }
}
