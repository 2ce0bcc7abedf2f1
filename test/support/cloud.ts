import { type ServerProcess, startServer } from './server-process.ts';
import { freePort, program, temporaryFolder } from './servers.ts';

export interface AwsServer extends ServerProcess {
  readonly url: string;
}

/** moto: SNS, SQS and Lambda as AWS answers them. Functions do not run there: their answers are given to it. */
export async function startAws(): Promise<AwsServer> {
  const port = await freePort();
  const folder = temporaryFolder('aws');
  const args = ['-H', '127.0.0.1', '-p', String(port)];
  const server = await startServer({ name: 'moto_server', file: program('moto_server'), args, port, folder, readyMs: 30_000 });
  return Object.assign(server, { url: `http://127.0.0.1:${port}` });
}

/** Google's own fake of Pub/Sub; `address` is what `PUBSUB_EMULATOR_HOST` takes. */
export async function startPubSub(): Promise<ServerProcess & { readonly address: string }> {
  const port = await freePort();
  const folder = temporaryFolder('pubsub');
  const server = await startServer({ name: 'pubsub-fake', file: program('pubsub-fake'), args: [`127.0.0.1:${port}`], port, folder });
  return Object.assign(server, { address: `127.0.0.1:${port}` });
}
