import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { ConfigError, NotConnected } from './errors.ts';

/** Loopback, link-local, private and other addresses that lead into our own network (RFC 6890). */
const LOCAL = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  LOCAL.addSubnet(net, prefix, 'ipv4');
}
LOCAL.addAddress('::', 'ipv6');
LOCAL.addAddress('::1', 'ipv6');
LOCAL.addSubnet('fc00::', 7, 'ipv6');
LOCAL.addSubnet('fe80::', 10, 'ipv6');

/** Also of IPv4 addresses written as IPv6 (`::ffff:10.0.0.1`). */
export const isLocalAddress = (address: string): boolean => LOCAL.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** @throws ConfigError when a host is, or resolves to, a local address (`ALLOW_LOCAL_NETWORK_HOSTS=false`); NotConnected when it does not resolve. */
export async function refuseLocalHosts(hosts: readonly string[]): Promise<void> {
  for (const host of hosts) {
    let addresses: string[];
    try {
      addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    } catch (cause) {
      throw new NotConnected(host, cause);
    }
    const local = addresses.find(isLocalAddress);
    if (local !== undefined) throw new ConfigError(`The host ${host} is in a local network (${local}), which this server does not allow`);
  }
}
