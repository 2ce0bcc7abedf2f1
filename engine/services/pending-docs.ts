import type { Collection, Doc } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

/** Documents that a batch has written so far lie over the store. Read from the work itself, so that taking back is safe. */
export class PendingDocs {
  private readonly work: Work;
  /** The latest state of each; null: removed. */
  private readonly docs = new Map<string, Doc | null>();
  private readonly keys = new Map<string, string>();
  private readonly made = new Map<string, number>();
  private seen = 0;

  constructor(work: Work) {
    this.work = work;
  }

  forget(): void {
    this.docs.clear();
    this.keys.clear();
    this.made.clear();
    this.seen = 0;
  }

  /** undefined: the batch does not touch it; null: it removes it. */
  find(collection: Collection, tenantId: string, id: string): Doc | null | undefined {
    this.read();
    return this.docs.size === 0 ? undefined : this.docs.get(placeOf(collection, tenantId, id));
  }

  byKey(collection: Collection, uniqueKey: string): Doc | undefined {
    this.read();
    const doc = this.docs.get(this.keys.get(`${collection}/${uniqueKey}`) ?? '');
    return doc?.uniqueKey === uniqueKey ? doc : undefined;
  }

  named(collection: Collection, tenantId: string, name: string): Doc | undefined {
    for (const doc of this.of(collection, tenantId)) if (doc.name === name) return doc;
    return undefined;
  }

  /** How many of a kind it makes. */
  created(collection: Collection, tenantId: string): number {
    this.read();
    return this.made.get(`${collection}/${tenantId}`) ?? 0;
  }

  /** Those that it writes and that are there afterwards. */
  *of(collection: Collection, tenantId: string): Iterable<Doc> {
    this.read();
    for (const doc of this.docs.values()) if (doc?.collection === collection && doc.tenantId === tenantId) yield doc;
  }

  private read(): void {
    for (; this.seen < this.work.docs.length; this.seen++) {
      const change = this.work.docs[this.seen]!;
      const { collection, tenantId, id } = 'doc' in change ? change.doc : change.remove;
      const place = placeOf(collection, tenantId, id);
      this.docs.set(place, 'doc' in change ? change.doc : null);
      if (!('doc' in change)) continue;
      if (change.doc.uniqueKey) this.keys.set(`${collection}/${change.doc.uniqueKey}`, place);
      const kind = `${collection}/${tenantId}`;
      if (change.expects === 0) this.made.set(kind, (this.made.get(kind) ?? 0) + 1);
    }
  }
}

const placeOf = (collection: Collection, tenantId: string, id: string): string => `${collection}/${tenantId}/${id}`;
