import type { TSchema } from 'typebox';

/**
 * Port for what must not lie readable in the store: AES-256-GCM, key from the environment or a file of mode 600 in the data folder.
 * Fields are those that a schema marks `secret: true`, at any depth, also inside unions.
 */
export interface Secrets {
  seal(text: string): string;
  open(sealed: string): string;
  /** A key for another purpose, always the same for this data folder (HKDF, RFC 5869). */
  derive(purpose: string, bytes: number): Buffer;
  /** Copy for the store: every secret text sealed; absent or null ones are taken from `stored` (an edit that sends none keeps the old one). */
  sealConfig(schema: TSchema, config: unknown, stored?: unknown): unknown;
  /** Copy for the one who connects. */
  openConfig(schema: TSchema, config: unknown): unknown;
  /** Copy for the API: secrets left out. */
  redactConfig(schema: TSchema, config: unknown): unknown;
}

/** Tells keys apart without telling anything of them: processes that share a store must share the key. */
export const fingerprintOf = (secrets: Secrets): string => secrets.derive('fingerprint', 8).toString('hex');
