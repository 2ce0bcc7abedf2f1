import { type EntityRef, NULL_ID } from '#engine/message.ts';
import type { Notifications } from '#engine/notifications.ts';
import type { Services } from '#engine/services.ts';
import type { Doc, DocQuery, Store } from '#engine/store.ts';
import { Work } from '#engine/work.ts';

export interface NotificationDeps {
  readonly store: Pick<Store, 'doc' | 'docs'>;
  readonly entities: Pick<Services['entities'], 'customerOf'>;
  commit(work: Work): Promise<void>;
}

const PAGE = 1000;
/** One request notifies no more users than these. */
const MOST_RECIPIENTS = 10_000;

export function notificationService(tenantId: string, { store, entities, commit }: NotificationDeps): Notifications {
  async function users(query: DocQuery, isMeant: (user: Doc) => boolean): Promise<Doc[]> {
    const found: Doc[] = [];
    for (let page = 0; found.length < MOST_RECIPIENTS; page++) {
      const { data, hasNext } = await store.docs('USER', tenantId, { ...query, page, pageSize: PAGE });
      found.push(...data.filter(isMeant));
      if (!hasNext) break;
    }
    return found.slice(0, MOST_RECIPIENTS);
  }
  const everybody = () => true;
  const isAdministrator = ({ body }: Doc) => body['authority'] === 'TENANT_ADMIN';

  const owners = async (about: EntityRef): Promise<Doc[]> => {
    const customerId = about.entityType === 'CUSTOMER' ? about.id : await entities.customerOf(about);
    return customerId && customerId !== NULL_ID ? users({ customerId }, everybody) : users({}, isAdministrator);
  };

  return {
    async recipients(filter, about) {
      switch (filter['type']) {
        case 'USER_LIST': {
          const ids = Array.isArray(filter['usersIds']) ? filter['usersIds'].map(String) : [];
          return ids.length === 0 ? [] : users({ ids }, everybody);
        }
        case 'CUSTOMER_USERS':
          return users({ customerId: String(filter['customerId']) }, everybody);
        case 'TENANT_ADMINISTRATORS':
          return users({}, isAdministrator);
        case 'ALL_USERS':
          return users({}, everybody);
        case 'ORIGINATOR_ENTITY_OWNER_USERS':
          return owners(about);
        // Whom a user's own act affects, and the system's administrators: not known to a rule chain.
        default:
          return [];
      }
    },
    async save(docs) {
      const work = new Work();
      for (const doc of docs) {
        const known = await store.doc(doc.collection, tenantId, doc.id);
        if (known && doc.collection === 'NOTIFICATION') continue;
        work.docs.push({ doc: known ? { ...doc, createdTime: known.createdTime, version: known.version + 1 } : doc });
      }
      await commit(work);
    },
  };
}
