import { createMessage, type Message, type NewMessage } from '#engine/message.ts';

export const TENANT = '784f394c-42b6-11ec-8d3d-0242ac130003';
export const DEVICE = '8a4f394c-42b6-11ec-8d3d-0242ac130003';

/** A message as most tests need it: telemetry of a device; `data` may be given as a value. */
export function message({ data = {}, ...fields }: Partial<Omit<NewMessage, 'data'>> & { data?: unknown } = {}): Message {
  return createMessage(
    {
      id: '11111111-1111-1111-1111-111111111111',
      tenantId: TENANT,
      ts: 1_700_000_000_000,
      type: 'POST_TELEMETRY_REQUEST',
      originator: { entityType: 'DEVICE', id: DEVICE },
      ...fields,
      data: typeof data === 'string' ? data : JSON.stringify(data),
    },
    () => assertNoId(),
  );
}

const assertNoId = (): never => {
  throw new Error('the builder gives the id');
};
