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
          `mosquitto_pub -p ${brokerPort} -t demo/greenhouse-2/up -m hello   # a payload that does not fit: see npx fieldbridge dead-letters list${at}`,
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
