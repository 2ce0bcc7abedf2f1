import { isJsonObject, json, parseAttributes } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope, type Message, withChanges } from '#engine/message.ts';
import { defineNode, type Emission } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import { NO_CONFIG } from '../../shared/fields.ts';

const TYPES = ['ATTRIBUTES_UPDATED', 'ATTRIBUTES_DELETED', 'ACTIVITY_EVENT', 'INACTIVITY_EVENT', 'POST_ATTRIBUTES_REQUEST'];
const LISTS = { CLIENT_SCOPE: 'cs', SERVER_SCOPE: 'ss', SHARED_SCOPE: 'sh' } as const;

/** The message ends here: what goes on are messages of the views, one for each. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbCopyAttributesToEntityViewNode',
  version: 0,
  family: 'ACTION',
  label: 'copy to view',
  summary: 'Copies attributes of the originator to its entity views, and deletes them there.',
  relations: ['Success'],
  effect: true,
  ...NO_CONFIG,
  needs: ['attributes', 'messages', 'views'],
  async process(message, { attributes, messages, views }) {
    if (!TYPES.includes(message.type)) throw new Error(`Unsupported msg type [${message.type}]`);
    if (Object.keys(message.metadata).length === 0) throw new Error('Message metadata is empty');
    const scope = message.type === 'POST_ATTRIBUTES_REQUEST' ? 'CLIENT_SCOPE' : scopeIn(message);
    const now = messages.now();
    const shown = (await views.of(message.originator)).filter((view) => isOpen(view, now));
    if (shown.length === 0) return [];
    const deleted = message.type === 'ATTRIBUTES_DELETED' ? deletedKeys(message) : null;
    const values = deleted ? [] : parseAttributes(message.data);
    const emissions: Emission[] = [];
    for (const view of shown) {
      const listed = listedIn(view, scope);
      const entity = { entityType: 'ENTITY_VIEW', id: view.id } as const;
      if (deleted) {
        const keys = deleted.filter((key) => listed.has(key));
        if (keys.length === 0) continue;
        attributes.remove(entity, scope, keys);
      } else
        attributes.save(
          entity,
          scope,
          values.filter(([key]) => listed.has(key)),
          now,
        );
      emissions.push({ to: 'Success', message: withChanges(message, { id: messages.newId(), originator: entity }) });
    }
    // A list of one would be the message itself; here the one that came in ends in any case.
    return emissions.length === 1 ? { ...emissions[0]!, acknowledge: true } : emissions;
  },
});

function scopeIn({ metadata: { scope } }: Message): AttributeScope {
  if (scope === undefined) throw new Error('Name is null');
  if (!(ATTRIBUTE_SCOPES as readonly string[]).includes(scope)) throw new Error(`Unknown attribute scope: ${scope}`);
  return scope as AttributeScope;
}

function isOpen({ body }: Doc, now: number): boolean {
  const { startTimeMs = 0, endTimeMs = 0 } = body as { startTimeMs?: number; endTimeMs?: number };
  return startTimeMs < now && (endTimeMs === 0 || endTimeMs > now);
}

function listedIn({ body }: Doc, scope: AttributeScope): ReadonlySet<string> {
  const { attributes } = (body['keys'] ?? {}) as { attributes?: Partial<Record<string, readonly string[] | null>> | null };
  return new Set(attributes?.[LISTS[scope]] ?? []);
}

function deletedKeys(message: Message): string[] {
  const data = json(message);
  const keys = isJsonObject(data) ? data['attributes'] : undefined;
  if (!Array.isArray(keys)) throw new Error('Message body has no list of attributes!');
  return keys.filter((key) => typeof key === 'string');
}
