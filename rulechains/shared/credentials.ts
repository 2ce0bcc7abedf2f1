import { type Static, Type } from 'typebox';
import { nullable } from './fields.ts';
import type { HttpOptions } from './http.ts';

/** `credentials` of the nodes that go outside. Keys that nobody knows mean nothing in here, as in the original (rule-nodes §1.6). */

const OPEN = { additionalProperties: true } as const;
const text = (title: string, description: string, more: Record<string, unknown> = {}) => nullable(Type.String(), { title, description, ...more });
const pem = (title: string, description: string) => text(title, description, { control: 'code' });
const fileName = (title: string) => text(title, 'Shown in the form only.', { advanced: true });
const caCert = pem('CA certificate', 'PEM. Without it the roots of the system decide.');

export const Anonymous = Type.Object({ type: Type.Literal('anonymous', { title: 'Type', description: 'No login.' }) }, OPEN);
export const Basic = Type.Object(
  {
    type: Type.Literal('basic', { title: 'Type', description: 'User name and password.' }),
    username: text('User name', 'As the other side knows it.'),
    password: text('Password', 'Stays with the node.', { control: 'password' }),
  },
  OPEN,
);
export const CertPem = Type.Object(
  {
    type: Type.Literal('cert.PEM', { title: 'Type', description: 'Certificates in PEM.' }),
    caCert,
    caCertFileName: fileName('CA file'),
    cert: pem('Certificate', 'PEM, of this client.'),
    certFileName: fileName('Certificate file'),
    privateKey: pem('Private key', 'PEM, of the certificate.'),
    privateKeyFileName: fileName('Key file'),
    password: text('Key password', 'Of an encrypted private key.', { control: 'password' }),
  },
  OPEN,
);
export const Sas = Type.Object(
  {
    type: Type.Literal('sas', { title: 'Type', description: 'Key of the device at the hub.' }),
    sasKey: text('Key', 'Base64. Tokens are made of it and renewed before they end.', { control: 'password' }),
    caCert,
    caCertFileName: fileName('CA file'),
  },
  OPEN,
);

export const credentials = nullable(Type.Union([Anonymous, Basic, CertPem]), {
  title: 'Credentials',
  description: 'How this server shows who it is.',
});
export type Credentials = Static<typeof Anonymous> | Static<typeof Basic> | Static<typeof CertPem>;

export type Tls = NonNullable<HttpOptions['tls']>;

/** What of it TLS uses; an empty text is none. */
export function tlsOf(
  given: { type: string; caCert?: string | null; cert?: string | null; privateKey?: string | null; password?: string | null } | null,
): Tls {
  if (given?.type !== 'cert.PEM' && given?.type !== 'sas') return {};
  const { caCert: ca, cert, privateKey: key, password: passphrase } = given;
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(passphrase && { passphrase }) };
}
