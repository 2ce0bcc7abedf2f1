import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';
import Schema from 'typebox/schema';
import { parseDocument } from 'yaml';
import { readSettings, Settings } from '#engine/settings.ts';
import { freePort, listening, missing, program, temporaryFolder } from './support/servers.ts';

/** docker-compose.yml without a docker engine: by the schema of the Compose Specification, and by what its values mean. */

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Service {
  image: string;
  build?: string;
  pull_policy?: string;
  user?: string;
  command?: string[];
  environment?: Record<string, string>;
  restart?: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  networks?: string[];
  ports?: string[];
  tmpfs?: string[];
  volumes?: string[];
  configs?: { source: string; target: string }[];
  depends_on?: Record<string, { condition: string }>;
  deploy?: { replicas: number };
  healthcheck: { test: string[] };
}

interface Compose {
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean }>;
  volumes: Record<string, object>;
  configs: Record<string, { file: string }>;
}

const document = parseDocument(read('docker-compose.yml'), { merge: true });
const compose = document.toJS() as Compose;
const services = Object.entries(compose.services);
const OURS = ['api', 'integrations', 'rules'];
const ours = services.filter(([name]) => OURS.includes(name));

const VARIABLE = /\$\$|\$\{(\w+)(?:(:[-?])([^}]*))?\}/g;
const GIVEN: Record<string, string> = {
  FIELDBRIDGE_KEY: 'ab'.repeat(32),
  FIELDBRIDGE_TENANT_PASSWORD: 'chosen-1',
  FIELDBRIDGE_SYSADMIN_PASSWORD: 'chosen-2',
};

/** As `docker compose` puts the values of variables in. */
function interpolated<T>(value: T): T {
  if (typeof value === 'string')
    return value.replace(VARIABLE, (all, name, kind, rest) => {
      if (all === '$$') return '$';
      assert.ok(kind !== ':?' || name in GIVEN, `${name} is required`);
      return GIVEN[name] ?? (kind === ':-' ? rest : '');
    }) as T;
  if (Array.isArray(value)) return value.map(interpolated) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, interpolated(part)])) as T;
}

describe('docker-compose.yml', () => {
  test('is YAML without a warning', () => {
    assert.deepEqual([document.errors, document.warnings], [[], []]);
  });

  test('is valid by the Compose Specification', () => {
    const specification = Schema.Compile(JSON.parse(read('node_modules/dclint/schemas/compose.schema.json')));
    assert.deepEqual(specification.Errors(interpolated(compose))[1], []);
    assert.equal(specification.Check({ services: { api: { image: 'a', helthcheck: {} } } }), false);
  });

  test('has the processes and servers of the shape', () => {
    assert.deepEqual(Object.fromEntries(services.map(([name, { deploy }]) => [name, deploy?.replicas ?? 1])), {
      ...{ api: 1, integrations: 1, rules: 2 },
      ...{ mongo: 1, redis: 1, mosquitto: 1 },
    });
  });

  test('pins every image; ours has the version of the package and is built once', () => {
    const { version } = JSON.parse(read('package.json'));
    for (const [name, { image }] of services) assert.match(image, /^[\w-]+:\d+\.\d+\.\d+$/, name);
    for (const [name, { image }] of ours) assert.equal(image, `fieldbridge:${version}`, name);
    assert.deepEqual(
      services.flatMap(([name, { build }]) => (build ? [name] : [])),
      ['api'],
    );
    assert.deepEqual(
      ours.map(([, { pull_policy }]) => pull_policy),
      ['build', 'never', 'never'],
    );
  });

  for (const [name, service] of services) {
    test(`${name}: is watched, comes back, writes to volumes and memory only, and has no rights to spare`, () => {
      const { restart, read_only, cap_drop, security_opt, healthcheck } = service;
      assert.deepEqual(
        { restart, read_only, cap_drop, security_opt },
        {
          ...{ restart: 'unless-stopped', read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] },
        },
      );
      assert.match(healthcheck.test[0]!, /^CMD(-SHELL)?$/);
      const keys = Object.keys(service).filter((key) => ['privileged', 'network_mode', 'pid', 'ipc', 'cap_add', 'env_file', 'devices'].includes(key));
      assert.deepEqual(keys, []);
      assert.doesNotMatch(JSON.stringify(service.volumes ?? []), /docker\.sock/);
    });
  }

  test('every named thing is there, and nothing is there for nobody', () => {
    const used = (of: (service: Service) => string[] | undefined) => [...new Set(services.flatMap(([, service]) => of(service) ?? []))].sort();
    assert.deepEqual(
      used(({ volumes }) => volumes?.map((each) => each.split(':')[0]!)),
      Object.keys(compose.volumes).sort(),
    );
    assert.deepEqual(
      used(({ networks }) => networks ?? ['default']),
      Object.keys(compose.networks).sort(),
    );
    assert.deepEqual(
      used(({ configs }) => configs?.map(({ source }) => source)),
      Object.keys(compose.configs).sort(),
    );
    for (const { file } of Object.values(compose.configs)) assert.equal(tracked(file.replace(/^\.\//, '')), true, file);
  });

  test('ours start when the servers are healthy', () => {
    const healthy = { condition: 'service_healthy' };
    for (const [name, { depends_on }] of ours) assert.deepEqual(depends_on, { mongo: healthy, redis: healthy, mosquitto: healthy }, name);
  });
});

const tracked = (path: string): boolean => execFileSync('git', ['ls-files', '--', path], { cwd: ROOT, encoding: 'utf8' }).trim() !== '';

describe('settings of our processes', () => {
  const fields = Settings.properties as unknown as Record<string, { secret?: boolean }>;

  for (const [name, { environment = {}, ports = [], networks }] of ours) {
    test(`${name}: variables are settings, and their values are allowed`, () => {
      assert.deepEqual(
        Object.keys(environment).filter((each) => !(each in fields)),
        [],
      );
      const settings = readSettings(interpolated(environment));
      assert.deepEqual([...settings.roles], [name]);
      assert.equal(settings.httpPort, 8080);
      // The one port that others than this machine may reach is that of REST.
      assert.deepEqual(interpolated(ports), name === 'api' ? [`8080:${settings.httpPort}`] : []);
      const { mongoUrl, redisUrl } = settings.servers!;
      for (const url of [mongoUrl, redisUrl]) {
        assert.ok(new URL(url).hostname in compose.services, url);
        assert.equal(new URL(url).password, '');
      }
      const set = new URL(mongoUrl).searchParams.get('replicaSet');
      assert.equal(set, argument('mongo', '--replSet'));
      assert.deepEqual(networks, ['default', 'data']);
    });
  }

  test('secrets are asked for, with the way to make one, and never written down', () => {
    for (const [name, { environment = {} }] of services)
      for (const [variable, text] of Object.entries(environment)) {
        if (!fields[variable]?.secret) continue;
        assert.match(text, new RegExp(`^\\$\\{${variable}:\\?.*\\.env`), `${variable} of ${name}`);
      }
    assert.match(read('docker-compose.yml'), /FIELDBRIDGE_KEY:\?.*openssl rand -hex 32/);
    const secrets = Object.keys(fields).filter((name) => fields[name]!.secret);
    assert.deepEqual(Object.keys(GIVEN).sort(), secrets.sort());
  });

  test('.env.example names every variable, the secrets without a value; .env itself is in no repository and no image', () => {
    const asked = new Set([...read('docker-compose.yml').matchAll(VARIABLE)].flatMap(([, name]) => (name ? [name] : [])));
    const example = new Map([...read('.env.example').matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
    assert.deepEqual([...example.keys()].sort(), [...asked].sort());
    for (const name of Object.keys(GIVEN)) assert.equal(example.get(name), '', name);
    assert.match(read('.gitignore'), /^\.env$/m);
    assert.doesNotMatch(read('.dockerignore'), /^!\.env/m);
  });
});

const argument = (service: string, name: string): string | undefined => {
  const { command = [] } = compose.services[service]!;
  const at = command.indexOf(name);
  return at < 0 ? undefined : command[at + 1];
};

describe('servers of docker-compose.yml', () => {
  test('MongoDB and Redis are reached by our processes only', () => {
    assert.equal(compose.networks['data']?.internal, true);
    for (const name of ['mongo', 'redis']) assert.deepEqual([compose.services[name]!.networks, compose.services[name]!.ports], [['data'], undefined]);
    assert.deepEqual(
      services.flatMap(([name, { networks = ['default'] }]) => (networks.includes('data') ? [name] : [])),
      [...OURS, 'mongo', 'redis'],
    );
  });

  test('Redis keeps what it was given, and throws nothing away', () => {
    const of = (name: string) => argument('redis', name);
    assert.deepEqual([of('--appendonly'), of('--appendfsync'), of('--maxmemory-policy')], ['yes', 'always', 'noeviction']);
  });

  test('data are in volumes', () => {
    assert.deepEqual(Object.fromEntries(services.flatMap(([name, { volumes }]) => (volumes ? [[name, volumes]] : []))), {
      ...{ mongo: ['mongo:/data/db'], redis: ['redis:/data'], mosquitto: ['mosquitto:/mosquitto/data'] },
    });
  });

  for (const { name, status, primary, initiated, exit } of [
    { name: 'the first start: makes the set and is not healthy yet', status: 'NotYetInitialized', primary: false, initiated: 1, exit: 1 },
    { name: 'made, and not elected yet', status: null, primary: false, initiated: 0, exit: 1 },
    { name: 'the primary', status: null, primary: true, initiated: 0, exit: 0 },
    { name: 'another trouble: makes nothing', status: 'Unauthorized', primary: false, initiated: 0, exit: 'Unauthorized' },
  ]) {
    test(`health check of MongoDB: ${name}`, () => {
      const made: { _id: string; members: { host: string }[] }[] = [];
      let code: unknown = null;
      const context = {
        rs: {
          status() {
            if (status !== null) throw Object.assign(new Error(status), { codeName: status });
          },
          initiate: (set: (typeof made)[0]) => made.push(set),
        },
        db: { hello: () => ({ isWritablePrimary: primary }) },
        quit: (given: number) => {
          code = given;
        },
      };
      const { test: command } = compose.services['mongo']!.healthcheck;
      try {
        runInNewContext(command[command.indexOf('--eval') + 1]!, context);
      } catch (cause) {
        code = (cause as { codeName: string }).codeName;
      }
      assert.equal(code, exit);
      assert.deepEqual(
        made.map(({ _id, members }) => [_id, ...members.map(({ host }) => host)]),
        Array.from({ length: initiated }, () => [argument('mongo', '--replSet'), 'mongo:27017']),
      );
    });
  }

  test('Mosquitto takes its configuration, and its health check is true', { skip: missing('mosquitto') }, async () => {
    const folder = temporaryFolder('compose');
    const port = await freePort();
    const file = join(folder, 'mosquitto.conf');
    const text = read(compose.configs['mosquitto']!.file);
    writeFileSync(file, text.replace('listener 1883', `listener ${port} 127.0.0.1`).replace('/mosquitto/data/', `${folder}/`));
    const broker = spawn(program('mosquitto'), ['-c', file], { stdio: 'ignore' });
    const ended = once(broker, 'exit');
    try {
      await listening(port);
      const [, command, ...args] = interpolated(compose.services['mosquitto']!.healthcheck.test);
      const check = spawn(program(command!), [...args, '-p', String(port)], { stdio: 'ignore' });
      assert.deepEqual(await once(check, 'exit'), [0, null]);
    } finally {
      broker.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
