import { errorText } from '#engine/errors.ts';
import type { IntegrationRegistry } from '#engine/registry.ts';
import type { Secrets } from '#engine/secrets.ts';
import type { Doc, Store } from '#engine/store.ts';
import { openConfig } from './integration-check.ts';
import { type IntegrationParts, type Loaded, partsOf } from './integration-parts.ts';

export interface LoadDeps {
  readonly store: Pick<Store, 'doc'>;
  readonly types: IntegrationRegistry;
  readonly secrets: Secrets;
}

/** A stored integration with its converters, ready to run, or with the reason why it can not. */
export async function loadParts(doc: Doc, deps: LoadDeps): Promise<IntegrationParts> {
  const definition = deps.types.get(doc.kind ?? '');
  const converters = await convertersOf(doc, deps.store);
  let config: unknown = null;
  let problem: string | null = null;
  if (!definition) problem = `The integration type ${doc.kind} is not available`;
  else {
    try {
      config = openConfig(definition, deps.secrets, doc.body['configuration']);
    } catch (cause) {
      problem = errorText(cause);
    }
  }
  return partsOf(doc, { definition: definition ?? null, config, problem, ...converters });
}

export async function convertersOf(doc: Doc, store: LoadDeps['store']): Promise<Pick<Loaded, 'uplink' | 'downlink'>> {
  const converter = async (key: string): Promise<Doc | null> => {
    const id = (doc.body[key] as { id?: string } | null | undefined)?.id;
    return id ? store.doc('CONVERTER', doc.tenantId, id) : null;
  };
  const [uplink, downlink] = await Promise.all([converter('defaultConverterId'), converter('downlinkConverterId')]);
  return { uplink, downlink };
}
