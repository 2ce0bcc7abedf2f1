import { Type } from 'typebox';
import { ConfigError } from './errors.ts';
import { Config, validate, withDefaults } from './schema.ts';

const port = (title: string, fallback: number) =>
  Type.Integer({ title, description: 'TCP port; 0 takes a free one.', minimum: 0, maximum: 65_535, default: fallback });
const flag = (title: string, description: string, fallback: boolean) => Type.Boolean({ title, description, default: fallback });

/** Settings are environment variables; this is the one schema. A wrong one stops the start with its name, its value and what is allowed. */
export const Settings = Config({
  FIELDBRIDGE_DATA: Type.String({
    title: 'Data folder',
    description: 'Everything that must survive: messages, devices, users, keys.',
    minLength: 1,
    default: './data',
  }),
  HTTP_HOST: Type.String({
    title: 'HTTP address',
    description: 'Where REST, the page and inbound HTTP listen. Beyond loopback, both passwords must be given.',
    minLength: 1,
    default: '127.0.0.1',
  }),
  HTTP_PORT: port('HTTP port', 8080),
  MQTT_PORT: port('Device API port (MQTT)', 1883),
  DEMO: flag('Demo', 'A broker, an integration on it and a device that talks.', true),
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
      description: '64 hex digits. Without it a key file of mode 600 is made in the data folder.',
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
  ALLOW_LOCAL_NETWORK_HOSTS: flag('Local peers', 'May integrations connect to loopback and private addresses?', true),
  LOG_LEVEL: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'], {
    title: 'Log level',
    description: 'Of the JSON log on standard error.',
    default: 'warn',
  }),
});

export interface Settings {
  readonly dataFolder: string;
  readonly httpHost: string;
  readonly httpPort: number;
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
        const value = field['secret'] ? '(hidden)' : JSON.stringify(env[path]);
        return { path, message: `${value} is not allowed; give ${allowed(field)} (${field['title']})` };
      }),
      { cause },
    );
  }
  const open = LOOPBACK.test(values.HTTP_HOST);
  for (const name of ['FIELDBRIDGE_TENANT_PASSWORD', 'FIELDBRIDGE_SYSADMIN_PASSWORD'] as const) {
    if (!open && values[name] === undefined) {
      throw new ConfigError([
        {
          path: name,
          message: `must be given because HTTP_HOST=${values.HTTP_HOST} lets others than this machine in; the demo passwords are for loopback only`,
        },
      ]);
    }
  }
  return {
    dataFolder: values.FIELDBRIDGE_DATA,
    httpHost: values.HTTP_HOST,
    httpPort: values.HTTP_PORT,
    mqttPort: values.MQTT_PORT,
    demo: values.DEMO,
    demoMqttPort: values.DEMO_MQTT_PORT,
    tenantPassword: values.FIELDBRIDGE_TENANT_PASSWORD ?? 'tenant',
    sysadminPassword: values.FIELDBRIDGE_SYSADMIN_PASSWORD ?? 'sysadmin',
    key: values.FIELDBRIDGE_KEY ?? null,
    lanes: values.LANES,
    scriptHosts: values.SCRIPT_HOSTS,
    deviceInactivityMs: values.DEVICE_INACTIVITY_MS,
    allowLocalHosts: values.ALLOW_LOCAL_NETWORK_HOSTS,
    logLevel: values.LOG_LEVEL,
  };
}
