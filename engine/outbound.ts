import { lookup as dnsLookup } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { isLocalAddress } from './addresses.ts';
import { ConfigError } from './errors.ts';

/**
 * Where rule nodes may connect to. A chain takes addresses from messages, so whoever sends messages may try to have this server ask its own network (SSRF). Checked is
 * the address that the socket goes to, after the name is resolved: a name that resolves to another address a moment later is checked again.
 */
export interface OutboundPolicy {
  /** `ALLOW_LOCAL_NETWORK_HOSTS`: loopback, private and other addresses of our own network. */
  readonly allowLocal: boolean;
  /** `ALLOWED_HOSTS`: these may be reached whatever else holds. */
  readonly allowed: AllowedHosts;
}

export interface AllowedHosts {
  readonly names: ReadonlySet<string>;
  readonly networks: BlockList;
}

const NONE: AllowedHosts = { names: new Set(), networks: new BlockList() };

/** Link-local addresses and those under which clouds hand out credentials to any process that asks. */
const METADATA = new BlockList();
METADATA.addSubnet('169.254.0.0', 16, 'ipv4');
METADATA.addAddress('100.100.100.200', 'ipv4');
METADATA.addAddress('168.63.129.16', 'ipv4');
METADATA.addAddress('192.0.0.192', 'ipv4');
METADATA.addSubnet('fe80::', 10, 'ipv6');
METADATA.addAddress('fd00:ec2::254', 'ipv6');
METADATA.addAddress('fd20:ce::254', 'ipv6');
// The same through a NAT64 gateway (RFC 6052).
METADATA.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');

// Without a policy the careful half holds: metadata addresses are refused, gateways in the field are not.
let policy: OutboundPolicy = { allowLocal: true, allowed: NONE };

/** Once, by the one who starts the process: it holds for every node. Returns what held before. */
export function setOutboundPolicy(next: OutboundPolicy): OutboundPolicy {
  const before = policy;
  policy = next;
  return before;
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
const bare = (host: string): string =>
  host
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
    .toLowerCase();

/** @throws Error naming the entry that is neither a host, an address, nor a network. */
export function parseAllowedHosts(text: string): AllowedHosts {
  const names = new Set<string>();
  const networks = new BlockList();
  for (const entry of text.split(/[\s,]+/).filter(Boolean)) {
    const [address = '', prefix] = entry.split('/');
    const family = isIP(bare(address));
    const bits = Number(prefix);
    if (prefix !== undefined) {
      if (family === 0 || !/^\d+$/.test(prefix) || bits > (family === 6 ? 128 : 32)) throw new Error(`${JSON.stringify(entry)} is not a network`);
      networks.addSubnet(bare(address), bits, familyOf(bare(address)));
    } else if (family !== 0) networks.addAddress(bare(address), familyOf(bare(address)));
    else if (/^(?=.{1,253}\.?$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i.test(entry)) names.add(bare(entry));
    else throw new Error(`${JSON.stringify(entry)} is not a host, an address or a network`);
  }
  return { names, networks };
}

const isAllowed = (address: string, host: string): boolean =>
  policy.allowed.names.has(bare(host)) || policy.allowed.networks.check(address, familyOf(address));

/** @throws ConfigError that says which setting refuses, and which lets it through. */
function checkAddress(address: string, host: string): void {
  const isMetadata = METADATA.check(address, familyOf(address));
  if (!isMetadata && (policy.allowLocal || !isLocalAddress(address))) return;
  if (isAllowed(address, host)) return;
  const named = bare(host) === address ? address : `${address} (${host})`;
  const why = isMetadata ? 'is a link-local or cloud metadata address' : 'is in a local network, and ALLOW_LOCAL_NETWORK_HOSTS is false';
  throw new ConfigError(`Connecting to ${named} is refused: it ${why}. The setting ALLOWED_HOSTS lets it through`);
}

/** A host that is an address itself is never resolved. @throws ConfigError */
export function checkLiteral(host: string): void {
  const address = bare(host);
  if (isIP(address) !== 0) checkAddress(address, host);
}

/** For a host that somebody else resolves (a proxy): refused when it is one that we would not reach ourselves. @throws ConfigError */
export async function checkHost(host: string): Promise<void> {
  checkLiteral(host);
  const found = await lookup(bare(host), { all: true }).catch(() => []);
  for (const { address } of found) checkAddress(address, host);
}

/** `lookup` for `net.connect` and `tls.connect`: resolves and checks in one step, so that nothing lies between the check and the connection. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    try {
      for (const { address } of addresses) checkAddress(address, hostname);
    } catch (cause) {
      return callback(cause as Error, '', 0);
    }
    if (options.all) return callback(null, addresses);
    const [first] = addresses;
    callback(null, first!.address, first!.family);
  });
};
