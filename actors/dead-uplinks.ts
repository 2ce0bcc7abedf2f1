import type { Control } from '#engine/control.ts';
import { AppError } from '#engine/errors.ts';
import type { RawUplink } from '#engine/integration.ts';
import type { DeadLetter, Store } from '#engine/store.ts';
import type { UplinkSource } from '#engine/uplink/accept.ts';

/** Dead letters of stage `uplink` go through conversion again. */
export function createRequeue(
  store: Pick<Store, 'deadLetter'>,
  sourceOf: (integrationId: string) => UplinkSource | undefined,
): Control['integrations']['requeueUplink'] {
  /** That are being tried again: twice at once would count twice. In two processes at once, the commit refuses the second. */
  const underWay = new Set<string>();
  return async (deadLetterId, tenantId, payload) => {
    const letter = await store.deadLetter(tenantId, deadLetterId);
    if (letter?.stage !== 'uplink' || underWay.has(deadLetterId))
      throw new AppError('not-found', 'never', `Dead letter ${deadLetterId} is not there`);
    const source = sourceOf(letter.integrationId ?? '');
    if (!source) throw new AppError('not-found', 'never', 'The integration of this dead letter is not there');
    underWay.add(deadLetterId);
    try {
      await source.accept(uplinkOf(letter, payload ?? letter.payload), { deadLetterId });
    } finally {
      underWay.delete(deadLetterId);
    }
  };
}

/** A dead letter has no label of its payload: what it looks like decides. */
function uplinkOf({ metadata }: DeadLetter, payload: Uint8Array): RawUplink {
  const text = Buffer.from(payload).toString();
  let contentType: RawUplink['contentType'] = 'JSON';
  try {
    JSON.parse(text);
  } catch {
    contentType = text.includes('\uFFFD') ? 'BINARY' : 'TEXT';
  }
  return { payload, contentType, metadata, receivedAt: Date.now() };
}
