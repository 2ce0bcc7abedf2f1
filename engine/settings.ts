import { Type } from 'typebox';
import { ROLES, type Role } from './cluster.ts';
import { ConfigError, errorText } from './errors.ts';
import { type AllowedHosts, parseAllowedHosts } from './outbound.ts';
import { Config, validate, withDefaults } from './schema.ts';

const port = (title: string, fallback: number) =>
  Type.Integer({ title, description: 'TCP port; 0 takes a free one.', minimum: 0, maximum: 65_535, default: fallback });
const flag = (title: string, description: string, fallback: boolean) => Type.Boolean({ title, description, default: fallback });

/** Settings are environment variables; this is the one schema. A wrong one stops the start with its name, its value and what is allowed. */
export const Settings = Config({
  FIELDBRIDGE_DATA: Type.String({
    title: 'Data folder',
    description: 'Embedded: everything that must survive. On Redis and MongoDB only the key file, and not even that when FIELDBRIDGE_KEY is given.',
    minLength: 1,
    default: './data',
  }),
  MONGODB_URL: Type.Optional(
    Type.String({
      title: 'MongoDB',
      description: 'mongodb:// or mongodb+srv:// with the name of the database. Together with REDIS_URL: several processes side by side.',
      pattern: '^mongodb(\\+srv)?://.+',
      examples: ['mongodb://db1,db2,db3/fieldbridge?replicaSet=rs0'],
    }),
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      title: 'Redis',
      description: 'redis:// or rediss:// with host and port. Together with MONGODB_URL.',
      pattern: '^rediss?://.+',
      examples: ['redis://cache:6379'],
    }),
  ),
  ROLES: Type.String({
    title: 'Roles',
    description:
      'What this process does, separated by commas: `api` (REST, device API, inbound HTTP), `integrations` (connections to peers), `rules` (rule chains). ' +
      'Less than all of them only on Redis and MongoDB.',
    default: ROLES.join(','),
  }),
  HTTP_HOST: Type.String({
    title: 'HTTP address',
    description: 'Where REST, the page and inbound HTTP listen. Beyond loopback, both passwords must be given.',
    minLength: 1,
    default: '127.0.0.1',
  }),
  HTTP_PORT: Type.Integer({
    title: 'HTTP port',
    description:
      'TCP port; 0 takes a free one. A process without the role `api` listens only when it is given, and then serves /health and /metrics alone.',
    minimum: 0,
    maximum: 65_535,
    default: 8080,
  }),
  MQTT_PORT: port('Device API port (MQTT)', 1883),
  DEMO: Type.Optional(
    Type.Boolean({
      title: 'Demo',
      description:
        'A broker, an integration on it and a device that talks. Embedded: true unless false is given. On Redis and MongoDB: only when true is given, ' +
        'to a process with the roles api and integrations, and for processes of one machine.',
    }),
  ),
  DEMO_MQTT_PORT: port('Demo broker port', 1884),
  FIELDBRIDGE_TENANT_PASSWORD: Type.Optional(
    Type.String({ title: 'Password of tenant@thingsboard.org', description: 'Taken at the first start.', minLength: 6, secret: true }),
  ),
  FIELDBRIDGE_SYSADMIN_PASSWORD: Type.Optional(
    Type.String({ title: 'Password of sysadmin@thingsboard.org', description: 'Taken at the first start.', minLength: 6, secret: true }),
  ),
  FIELDBRIDGE_KEY: Type.Optional(
    Type.String({
      title: 'Key of the secrets',
      description:
        '64 hex digits. Without it a key file of mode 600 is made in the data folder. Processes on Redis and MongoDB share one: there it must be given, or its file be in the data folder.',
      pattern: '^[0-9a-fA-F]{64}$',
      secret: true,
    }),
  ),
  LANES: Type.Integer({
    title: 'Lanes',
    description: 'Partitions of the originators; fixed at the first start.',
    minimum: 1,
    maximum: 256,
    default: 16,
  }),
  SCRIPT_HOSTS: Type.Integer({ title: 'Script hosts', description: 'Child processes that run user scripts.', minimum: 1, maximum: 64, default: 1 }),
  DEVICE_INACTIVITY_MS: Type.Integer({
    title: 'Inactivity',
    description: 'A device that is silent for longer is inactive, unless its attribute inactivityTimeout says otherwise.',
    unit: 'ms',
    minimum: 1000,
    default: 600_000,
  }),
  ALLOW_LOCAL_NETWORK_HOSTS: flag('Local peers', 'May integrations and rule nodes connect to loopback and private addresses?', true),
  ALLOWED_HOSTS: Type.String({
    title: 'Allowed hosts',
    description:
      'Host names, addresses and networks (CIDR), separated by commas, that rule nodes may always connect to: also link-local and cloud metadata addresses, ' +
      'which are refused otherwise, and local ones when ALLOW_LOCAL_NETWORK_HOSTS is false.',
    default: '',
    examples: ['gateway.plant.local,10.20.0.0/16'],
  }),
  CAPTURE_NODE_BYTES: Type.Integer({
    title: 'Capture per node',
    description: 'How much is remembered of the messages of one rule node or integration, for their journeys; 0: nothing, of any.',
    unit: 'bytes',
    minimum: 0,
    default: 1024 * 1024,
  }),
  CAPTURE_TENANT_BYTES: Type.Integer({
    title: 'Capture per tenant',
    description: 'The same, of all nodes and integrations of a tenant together: beyond it the oldest is let go. 0: nothing is remembered.',
    unit: 'bytes',
    minimum: 0,
    default: 64 * 1024 * 1024,
  }),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
    title: 'Log level',
    description: 'Of the JSON log on standard error.',
    default: 'warn',
  }),
});

export interface Settings {
  readonly dataFolder: string;
  /** Null: embedded, one process with everything in the data folder. */
  readonly servers: { readonly mongoUrl: string; readonly redisUrl: string } | null;
  readonly roles: ReadonlySet<Role>;
  readonly httpHost: string;
  /** Null: this process listens nowhere. */
  readonly httpPort: number | null;
  readonly mqttPort: number;
  readonly demo: boolean;
  readonly demoMqttPort: number;
  readonly tenantPassword: string;
  readonly sysadminPassword: string;
  readonly key: string | null;
  readonly lanes: number;
  readonly scriptHosts: number;
  readonly deviceInactivityMs: number;
  readonly allowLocalHosts: boolean;
  readonly allowedHosts: AllowedHosts;
  /** Of the journeys of messages. Null: nothing is remembered. */
  readonly capture: { readonly ringBytes: number; readonly tenantBytes: number } | null;
  readonly logLevel: string;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1|\[::1\])$/;

/** The text of a variable as the type that its field has; text that does not fit stays text, and the validation says so. */
function typed(text: string, field: { type?: string }): unknown {
  if (field.type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (field.type === 'boolean' && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  return text;
}

function allowed(field: Record<string, unknown>): string {
  if (Array.isArray(field['enum'])) return `one of ${field['enum'].join(', ')}`;
  if (field['type'] === 'boolean') return 'true or false';
  if (field['type'] === 'integer') return `a whole number from ${field['minimum']}${field['maximum'] === undefined ? '' : ` to ${field['maximum']}`}`;
  if (field['pattern']) return String(field['description']);
  return field['minLength'] ? `a text of at least ${field['minLength']} characters` : 'a text';
}

/** A value for people, without what nobody may read. */
export function shownUrl(url: string): string {
  return url.replace(/(\/\/[^:@/]*):.*@/s, '$1:(hidden)@').replace(/([?&][^=&]*password[^=&]*=)[^&]*/gi, '$1(hidden)');
}

const SECRET_PARTS: ReadonlySet<string> = new Set(['MONGODB_URL', 'REDIS_URL']);

function shown(name: string, field: Record<string, unknown>, value: string | undefined): string {
  if (field['secret']) return '(hidden)';
  // What is no URL may hide a password where we do not look for it.
  if (value !== undefined && SECRET_PARTS.has(name)) return value.includes('://') ? JSON.stringify(shownUrl(value)) : '(hidden)';
  return JSON.stringify(value);
}

const refused = (path: string, message: string): ConfigError => new ConfigError([{ path, message }]);

/** @throws ConfigError naming variable, value and what is allowed. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const fields = Settings.properties as unknown as Record<string, Record<string, unknown>>;
  const given: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const text = env[name];
    if (text !== undefined && text !== '') given[name] = typed(text, field);
  }
  let values: ReturnType<typeof validate<typeof Settings>>;
  try {
    values = validate(Settings, withDefaults(Settings, given));
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw new ConfigError(
      cause.problems.map(({ path }) => {
        const field = fields[path] ?? {};
        return { path, message: `${shown(path, field, env[path])} is not allowed; give ${allowed(field)} (${field['title']})` };
      }),
      { cause },
    );
  }
  const servers = serversOf(values.MONGODB_URL, values.REDIS_URL);
  const roles = rolesOf(values.ROLES, servers !== null);
  const open = roles.has('api') && !LOOPBACK.test(values.HTTP_HOST);
  for (const name of ['FIELDBRIDGE_TENANT_PASSWORD', 'FIELDBRIDGE_SYSADMIN_PASSWORD'] as const) {
    if (!open || values[name] !== undefined) continue;
    throw refused(
      name,
      `must be given because HTTP_HOST=${values.HTTP_HOST} lets others than this machine in; the demo passwords are for loopback only`,
    );
  }
  return {
    dataFolder: values.FIELDBRIDGE_DATA,
    servers,
    roles,
    httpHost: values.HTTP_HOST,
    httpPort: roles.has('api') || given['HTTP_PORT'] !== undefined ? values.HTTP_PORT : null,
    mqttPort: values.MQTT_PORT,
    demo: demoOf(values.DEMO, servers !== null, roles),
    demoMqttPort: values.DEMO_MQTT_PORT,
    tenantPassword: values.FIELDBRIDGE_TENANT_PASSWORD ?? 'tenant',
    sysadminPassword: values.FIELDBRIDGE_SYSADMIN_PASSWORD ?? 'sysadmin',
    key: values.FIELDBRIDGE_KEY ?? null,
    lanes: values.LANES,
    scriptHosts: values.SCRIPT_HOSTS,
    deviceInactivityMs: values.DEVICE_INACTIVITY_MS,
    allowLocalHosts: values.ALLOW_LOCAL_NETWORK_HOSTS,
    allowedHosts: allowedHostsOf(values.ALLOWED_HOSTS),
    capture:
      values.CAPTURE_NODE_BYTES > 0 && values.CAPTURE_TENANT_BYTES > 0
        ? { ringBytes: values.CAPTURE_NODE_BYTES, tenantBytes: values.CAPTURE_TENANT_BYTES }
        : null,
    logLevel: values.LOG_LEVEL,
  };
}

function allowedHostsOf(text: string): AllowedHosts {
  try {
    return parseAllowedHosts(text);
  } catch (cause) {
    throw refused('ALLOWED_HOSTS', `${errorText(cause)}; give names, addresses and networks like 10.20.0.0/16, separated by commas`);
  }
}

function serversOf(mongoUrl: string | undefined, redisUrl: string | undefined): Settings['servers'] {
  if (mongoUrl !== undefined && redisUrl !== undefined) return { mongoUrl, redisUrl };
  if (mongoUrl !== undefined)
    throw refused('MONGODB_URL', `${JSON.stringify(shownUrl(mongoUrl))} stands alone; give REDIS_URL too, or neither to run embedded`);
  if (redisUrl !== undefined)
    throw refused('REDIS_URL', `${JSON.stringify(shownUrl(redisUrl))} stands alone; give MONGODB_URL too, or neither to run embedded`);
  return null;
}

function rolesOf(text: string, shared: boolean): ReadonlySet<Role> {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const unknown = names.filter((name) => !(ROLES as readonly string[]).includes(name));
  if (unknown.length > 0)
    throw refused('ROLES', `${unknown.map((name) => JSON.stringify(name)).join(', ')} is not allowed; give some of ${ROLES.join(', ')}`);
  if (names.length === 0) throw refused('ROLES', `${JSON.stringify(text)} is not allowed; give some of ${ROLES.join(', ')}`);
  const roles = new Set(names as Role[]);
  if (!shared && roles.size < ROLES.length) {
    throw refused(
      'ROLES',
      `${JSON.stringify(text)} leaves work to other processes, which an embedded server has none of; give MONGODB_URL and REDIS_URL, or no ROLES`,
    );
  }
  return roles;
}

function demoOf(given: boolean | undefined, shared: boolean, roles: ReadonlySet<Role>): boolean {
  const wanted = given ?? !shared;
  if (wanted && !(roles.has('api') && roles.has('integrations')))
    throw refused('DEMO', `true is not allowed with ROLES=${[...roles].join(',')}; give it to a process with the roles api and integrations`);
  return wanted;
}
