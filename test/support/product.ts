import { rmSync } from 'node:fs';
import { type Client, clientOf } from './client.ts';
import { type ProcessOptions, type ProductProcess, productProcess } from './product-process.ts';
import { freePort, temporaryFolder } from './servers.ts';

export interface Ledger {
  uplinks: { received: number; converted: number; empty: number; dead: number; inFlight: number };
  messages: { created: number; stored: number; filtered: number; dead: number; inFlight: number };
  downlinks: { created: number; sent: number; pending: number; replaced: number; expired: number; failed: number };
}

/** JSON as the API gives it; the tests look into it freely. */
// biome-ignore lint/suspicious/noExplicitAny: answers of REST, checked by the test that reads them
export type Answer = any;

export type ProductOptions = Partial<ProcessOptions>;

/** The product as a user runs it: its own process, its own data folder, spoken to over HTTP only. Also the face of a cluster (`cluster.ts`). */
export interface Product extends Omit<ProductProcess, 'pause' | 'resume'>, Client {
  readonly url: string;
  readonly dataFolder: string;
  /** Starts it again on the same folder and port; the login goes on. */
  start(env?: Record<string, string>): Promise<void>;
  /** Stops it and removes the folder. */
  close(): Promise<void>;
}

/** @param options `dataFolder`: default a fresh one that `close()` removes. */
export async function startProduct(options: ProductOptions = {}): Promise<Product> {
  const dataFolder = options.dataFolder ?? temporaryFolder('data');
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const server = productProcess({ ...options, port, dataFolder });
  const client = clientOf(url);
  const start = server.start;
  const stop = server.close;
  const own = {
    url,
    dataFolder,
    async start(env?: Record<string, string>) {
      await start(env);
      client.token ||= await client.login();
    },
    async close() {
      await stop();
      if (!options.dataFolder) rmSync(dataFolder, { recursive: true, force: true });
    },
  };
  // Getters of the process and the client stay what they are.
  const product = Object.defineProperties({} as Product, {
    ...Object.getOwnPropertyDescriptors(server),
    ...Object.getOwnPropertyDescriptors(client),
    ...Object.getOwnPropertyDescriptors(own),
    token: {
      get: () => client.token,
      set: (token: string) => {
        client.token = token;
      },
    },
  });
  try {
    await product.start();
  } catch (cause) {
    await product.close();
    throw cause;
  }
  return product;
}
