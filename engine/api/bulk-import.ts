import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { nameKey, randomText } from '../entities.ts';
import { errorText } from '../errors.ts';
import { toValue } from '../json.ts';
import type { AttributeScope, EntityRef } from '../message.ts';
import { Work } from '../work.ts';
import { saveAsset } from './assets.ts';
import type { ApiContext, Caller } from './context.ts';
import { credentialsFields } from './device-credentials.ts';
import { saveDevice } from './devices.ts';
import { badRequest } from './errors.ts';
import type { NamePolicy } from './save.ts';
import { Body, IdOf, Maybe, typed } from './schemas.ts';

/** Devices and assets out of a CSV text (specs: rest-api §2.5). Rows fail alone. */

const ImportBody = Body({
  file: Type.String({ description: 'CSV text.' }),
  mapping: Body({
    columns: Type.Array(Body({ type: Type.String(), key: Maybe(Type.String()) })),
    delimiter: Maybe(Type.String()),
    update: Maybe(Type.Boolean()),
    header: Maybe(Type.Boolean()),
  }),
  customerId: Maybe(IdOf('CUSTOMER')),
  entityGroupId: Maybe(Type.String()),
});
type ImportBody = Type.Static<typeof ImportBody>;

const SCOPES: Readonly<Record<string, AttributeScope>> = { SERVER_ATTRIBUTE: 'SERVER_SCOPE', SHARED_ATTRIBUTE: 'SHARED_SCOPE' };
const MOST_ROWS = 100_000;

export default async function bulkImport(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  for (const collection of ['DEVICE', 'ASSET'] as const) {
    const path = collection.toLowerCase();
    app.post(`/api/${path}/bulk_import`, { config: { who: 'T' }, schema: { tags: ['Bulk import'], body: ImportBody } }, async ({ body, caller }) =>
      importRows(context, caller, collection, body),
    );
  }
}

async function importRows(context: ApiContext, caller: Caller, collection: 'DEVICE' | 'ASSET', body: ImportBody) {
  const rows = readCsv(body.file, body.mapping.delimiter || ',');
  if (rows.length > MOST_ROWS) throw badRequest(`More than ${MOST_ROWS} rows`);
  const result = { created: 0, updated: 0, errors: 0, errorsList: [] as string[] };
  for (const [index, row] of rows.entries()) {
    if ((index === 0 && body.mapping.header) || row.every((cell) => cell === '')) continue;
    try {
      result[await importRow(context, caller, collection, body, row)]++;
    } catch (error) {
      result.errors++;
      if (result.errorsList.length < 100) result.errorsList.push(`Line ${index + 1}: ${errorText(error)}`);
    }
  }
  return result;
}

async function importRow(
  context: ApiContext,
  caller: Caller,
  collection: 'DEVICE' | 'ASSET',
  body: ImportBody,
  row: readonly string[],
): Promise<'created' | 'updated'> {
  const { columns } = body.mapping;
  const cells = columns.map((column, i) => ({ ...column, text: row[i] ?? '' })).filter((cell) => cell.text !== '');
  const cell = (type: string): string | undefined => cells.find((each) => each.type === type)?.text;
  const name = cell('NAME');
  // Recorded: a row without a name is no error and changes nothing.
  if (!name) return 'updated';
  const known = await context.backend.store.docByKey(collection, nameKey(caller.tenantId, name));
  const info = { ...((known?.body['additionalInfo'] as object | null) ?? {}) } as Record<string, unknown>;
  if (cell('DESCRIPTION') !== undefined) info['description'] = cell('DESCRIPTION');
  if (cell('IS_GATEWAY') !== undefined) info['gateway'] = cell('IS_GATEWAY')!.toLowerCase() === 'true';
  const customerId = body.customerId ?? (known?.customerId ? { id: known.customerId } : null);
  const fields = {
    id: known ? { id: known.id } : undefined,
    name,
    type: cell('TYPE') ?? known?.kind ?? undefined,
    label: cell('LABEL') ?? known?.label ?? undefined,
    customerId,
    additionalInfo: info,
  };
  const query: NamePolicy & { entityGroupId?: string } = body.entityGroupId ? { entityGroupId: body.entityGroupId } : {};
  const doc =
    collection === 'DEVICE'
      ? await saveDevice(context, caller, { ...fields, deviceData: known?.body['deviceData'] }, query, known ? null : rowCredentials(cell))
      : await saveAsset(context, caller, fields, query);
  await saveValues(context, caller, { entityType: collection, id: doc.id }, cells);
  return known ? 'updated' : 'created';
}

function rowCredentials(cell: (type: string) => string | undefined) {
  if (cell('X509') !== undefined) return credentialsFields({ credentialsType: 'X509_CERTIFICATE', credentialsValue: cell('X509') });
  const basic = { clientId: cell('MQTT_CLIENT_ID') ?? null, userName: cell('MQTT_USER_NAME') ?? null, password: cell('MQTT_PASSWORD') ?? null };
  if (basic.clientId || basic.userName) return credentialsFields({ credentialsType: 'MQTT_BASIC', credentialsValue: JSON.stringify(basic) });
  return credentialsFields({ credentialsType: 'ACCESS_TOKEN', credentialsId: cell('ACCESS_TOKEN') ?? randomText(20) });
}

/** Attributes and telemetry of a row; texts that are numbers or booleans become those. */
async function saveValues(
  context: ApiContext,
  { tenantId }: Caller,
  entity: EntityRef,
  cells: readonly { type: string; key?: string | null; text: string }[],
): Promise<void> {
  const work = new Work();
  const now = context.now();
  for (const { type, key, text } of cells) {
    if (!key) continue;
    const value = toValue(text === 'true' ? true : text === 'false' ? false : text);
    if (!value) continue;
    const scope = SCOPES[type];
    if (scope) work.attributes.push({ tenantId, entity, scope, key, value, lastUpdateTs: now });
    else if (type === 'TIMESERIES')
      work.telemetry.push({ tenantId, entity, ts: now, values: [[key, value]], expiresAt: null, history: true, latest: true });
  }
  if (!work.isEmpty) await context.backend.commit(work);
}

/** RFC 4180: quoted cells may hold the delimiter, line ends and doubled quotes. */
export function readCsv(text: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (char === '"' && cell === '') quoted = true;
    else if (text.startsWith(delimiter, i)) {
      row.push(cell);
      cell = '';
      i += delimiter.length - 1;
    } else if (char === '\n') {
      rows.push([...row, cell]);
      row = [];
      cell = '';
    } else if (char !== '\r') cell += char;
  }
  if (cell !== '' || row.length > 0) rows.push([...row, cell]);
  return rows;
}
