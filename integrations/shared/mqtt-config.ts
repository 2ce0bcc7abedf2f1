import { type Static, Type } from 'typebox';
import type { Problem } from '#engine/errors.ts';
import { Config } from '#engine/schema.ts';
import type { MqttOptions } from './mqtt-client.ts';

/** What the MQTT family's forms share (specs: integrations §1.6, §3.0, §3.2). */

const pem = (title: string, description: string, secret = false) =>
  Type.Optional(Type.Union([Type.String({ title, description, control: 'code', secret }), Type.Null()], { title, description }));
const fileName = (title: string) =>
  Type.Optional(Type.Union([Type.String(), Type.Null()], { title, description: 'Shown in the form only.', advanced: true }));
const caCert = pem('CA certificate', 'PEM. Without it the roots of the system decide.');

export const Anonymous = Config({ type: Type.Literal('anonymous', { title: 'Type', description: 'No login.' }), caCert }, { unknownKeys: 'keep' });

export const Basic = Config(
  {
    type: Type.Literal('basic', { title: 'Type', description: 'User name and password.' }),
    username: Type.String({ title: 'User name', description: 'As the broker knows it.' }),
    password: Type.Optional(
      Type.Union([Type.String({ title: 'Password', description: 'Encrypted at rest, never sent back.', secret: true }), Type.Null()]),
    ),
    caCert,
  },
  { unknownKeys: 'keep' },
);

export const Certificates = Config(
  {
    type: Type.Literal('cert.PEM', { title: 'Type', description: 'Certificate of the client.' }),
    caCertFileName: fileName('CA file'),
    caCert,
    certFileName: fileName('Certificate file'),
    cert: pem('Certificate', 'PEM, the chain included.'),
    privateKeyFileName: fileName('Key file'),
    privateKey: pem('Private key', 'PEM. Encrypted at rest, never sent back.', true),
    privateKeyPassword: Type.Optional(
      Type.Union([Type.String({ title: 'Key password', description: 'Encrypted at rest, never sent back.', secret: true }), Type.Null()]),
    ),
  },
  { unknownKeys: 'keep' },
);

export const TopicFilters = Type.Array(
  Config(
    {
      filter: Type.String({
        title: 'Filter',
        description: 'With + and #; $share/group/… is passed through.',
        minLength: 1,
        maxLength: 65_535,
        control: 'topic',
        examples: ['plant/+/up'],
      }),
      qos: Type.Enum([0, 1, 2], { title: 'QoS', description: 'From 1 on the broker redelivers what we could not store.', default: 0 }),
    },
    { unknownKeys: 'keep' },
  ),
  { title: 'Topic filters', description: 'Subscribed on every connect.', minItems: 1 },
);

/** MQTT 3.1.1 §4.7.1: + and # only as whole levels, # only at the end. */
export function filterProblems(filters: Static<typeof TopicFilters>): Problem[] {
  const found: Problem[] = [];
  const seen = new Set<string>();
  filters.forEach(({ filter }, index) => {
    const path = `topicFilters.${index}.filter`;
    const levels = filter.split('/');
    const wrong =
      filter.includes('\u0000') ||
      levels.some((level, at) => (level.includes('#') && (level !== '#' || at < levels.length - 1)) || (level.includes('+') && level !== '+'));
    if (wrong) found.push({ path, message: `'${filter}' is not a topic filter` });
    if (seen.has(filter)) found.push({ path, message: `'${filter}' is there twice` });
    seen.add(filter);
  });
  return found;
}

type Credentials = Static<typeof Anonymous> | Static<typeof Basic> | Static<typeof Certificates>;

export function credentialOptions(credentials: Credentials): Pick<MqttOptions, 'username' | 'password' | 'tls'> {
  const tls: Record<string, string> = {};
  if (credentials.caCert) tls['ca'] = credentials.caCert;
  if (credentials.type === 'basic') return { username: credentials.username, password: credentials.password ?? undefined, tls };
  if (credentials.type === 'cert.PEM') {
    if (credentials.cert) tls['cert'] = credentials.cert;
    if (credentials.privateKey) tls['key'] = credentials.privateKey;
    if (credentials.privateKeyPassword) tls['passphrase'] = credentials.privateKeyPassword;
  }
  return { tls };
}
