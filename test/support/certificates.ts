import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from './servers.ts';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /** Of the authority that signed the others. */
  readonly ca: string;
  /** Of an authority that signed nothing here. */
  readonly foreignCa: string;
  readonly server: Pair;
  /** Its subject is `CN=client-1`. */
  readonly client: Pair;
  readonly folder: string;
  close(): void;
}

/** Certificates of a day, made by openssl. @param addresses that the server's certificate is for */
export function makeCertificates(addresses: readonly string[] = ['127.0.0.1']): Certificates {
  const folder = temporaryFolder('certificates');
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = (name: string) => {
    openssl('req', '-x509', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.crt`, '-days', '1', '-subj', `/CN=${name}`);
    return read(`${name}.crt`);
  };
  const signed = (name: string, extensions: string): Pair => {
    writeFileSync(join(folder, `${name}.ext`), extensions);
    openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.crt`);
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) };
  };
  const ca = authority('ca');
  const foreignCa = authority('foreign');
  const names = ['DNS:localhost', ...addresses.map((address) => `IP:${address}`)].join(',');
  return {
    ca,
    foreignCa,
    server: signed('server', `subjectAltName=${names}\n`),
    client: signed('client-1', 'extendedKeyUsage=clientAuth\n'),
    folder,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}
