import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** Passwords at rest: `scrypt$N$salt$hash` (RFC 7914), so that the cost can grow without losing anybody's password. */
const COST = 16_384;
const LENGTH = 32;

const derive = (password: string, salt: Buffer, cost: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password.normalize('NFC'), salt, LENGTH, { N: cost, maxmem: 256 * cost * 8 }, (error, key) => (error ? reject(error) : resolve(key)));
  });

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, COST);
  return `scrypt$${COST}$${salt.toString('base64')}$${key.toString('base64')}`;
}

/** With no hash (an unknown user) it takes the same time and says no, so that the time does not tell who exists. */
export async function passwordMatches(password: string, hash: string | null): Promise<boolean> {
  const [, cost, salt, key] = hash?.split('$') ?? ['', String(COST), Buffer.alloc(16).toString('base64'), ''];
  const derived = await derive(password, Buffer.from(salt!, 'base64'), Number(cost));
  const stored = Buffer.from(key!, 'base64');
  return stored.length === derived.length && timingSafeEqual(stored, derived);
}
