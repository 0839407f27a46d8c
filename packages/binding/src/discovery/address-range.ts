import { BlockList, isIP, isIPv4 } from 'node:net';

/** IPv4 that is no address of one host on the Internet (IANA special-purpose registry, multicast, reserved). */
const specialV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4'],
];
/** Inside of 2000::/3, which is all that is given out: what is no host, and what only wraps an IPv4 address. */
const specialV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

const closedV4 = listOf(specialV4);
const givenOutV6 = listOf(['2000::/3']);
const closedV6 = listOf(specialV6);

/** Address ranges by which a caller opens what is closed. */
export type AddressRanges = BlockList;

/**
 * Ranges from their usual form, `10.0.0.0/8`, `::1/128` or one address.
 *
 * @throws RangeError that names the text
 */
export function addressRanges(texts: readonly string[]): AddressRanges {
  return listOf(texts);
}

/**
 * Whether a connection to an address may be tried that somebody else's DNS names. Without this a stranger's records
 * would let him knock, through us, at doors that only we can reach (design 6, S70).
 *
 * @param allowed ranges that are open whatever they are: another provider on the same machine or in the same cluster
 */
export function isReachable(address: string, allowed: AddressRanges): boolean {
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  if (isIP(address) === 0 || address.includes('%')) return false;
  if (allowed.check(address, family)) return true;
  if (family === 'ipv4') return !closedV4.check(address, family);
  return givenOutV6.check(address, family) && !closedV6.check(address, family);
}

function listOf(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', length] = text.split('/');
    const family = isIP(address);
    const bits = length === undefined ? (family === 4 ? 32 : 128) : Number(length);
    const isRange = family !== 0 && /^\d{1,3}$/.test(String(bits)) && bits <= (family === 4 ? 32 : 128);
    if (!isRange) throw new RangeError(`${JSON.stringify(text)} is no range of addresses`);
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}
