import { DEVICE_NAME } from './device.ts';

export interface WelcomeFacts {
  readonly host: string;
  readonly port: number;
  /** null: no demo. */
  readonly brokerPort: number | null;
  readonly demoPassword: boolean;
  readonly dataFolder: string;
}

/** What a newcomer reads when the server is ready: where it is, how to log in, what to try. */
export function welcome({ host, port, brokerPort, demoPassword, dataFolder }: WelcomeFacts): string {
  const url = `http://${host === '127.0.0.1' ? 'localhost' : host}:${port}`;
  const login = demoPassword
    ? 'tenant@thingsboard.org / tenant (administration: sysadmin@thingsboard.org / sysadmin)'
    : 'tenant@thingsboard.org, with the password you gave';
  const at = port === 8080 ? '' : ` --url ${url}`;
  const demo =
    brokerPort === null
      ? ['curl ' + url + '/health', 'npx fieldbridge chain import FILE --root' + at, 'npx fieldbridge --help']
      : [
          `npx fieldbridge tail "${DEVICE_NAME}"${at}`,
          `npx fieldbridge chain export "Demo greenhouse chain"${at}`,
          `curl -s ${url}/api/auth/login -H 'Content-Type: application/json' -d '{"username":"tenant@thingsboard.org","password":"tenant"}'   # a token for the calls in the README`,
        ];
  return [
    '',
    `Fieldbridge is ready: ${url}  (REST API page; data in ${dataFolder})`,
    ...(brokerPort === null ? [] : [`Demo broker:          mqtt://localhost:${brokerPort}, where "${DEVICE_NAME}" talks every 5 seconds`]),
    `Login:                ${login}`,
    'Try:',
    ...demo.map((line) => `  ${line}`),
    '',
    '',
  ].join('\n');
}
