/** Whom a limit counts: the address from which a connection comes. */
import { isIPv6 } from 'node:net';

/** Groups of an IPv6 address that one customer has to himself at least: a /64. */
const ipv6GroupsKept = 4;

/**
 * The name under which a peer is counted: an IPv4 address, or the /64 of an IPv6 one, since whoever has one address of
 * it has all.
 */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1] as string;
  return isIPv6(address) ? `${groupsOf(address).slice(0, ipv6GroupsKept).join(':')}::/64` : address;
}

/** The eight groups of an IPv6 address, `::` filled in; a zone is dropped. */
function groupsOf(address: string): string[] {
  const [plain = ''] = address.toLowerCase().split('%');
  const [front = '', back] = plain.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const before = groups(front);
  const after = back === undefined ? [] : groups(back);
  return [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after];
}

/** Whether the peer is on this very machine: the operator's own tools and tests, which no limit of strangers is for. */
export function isLoopback(source: string): boolean {
  return source.startsWith('127.') || source === '0:0:0:0::/64';
}
