/**
 * What a sealed ticket says (S31): who somebody was when the ticket was issued, and the secret of the exchange. No
 * permissions: the shard looks those up on every request, and revocation with them.
 */
import { concat, lv, u64 } from '@meshd/crypto/digest';
import type { Random } from '@meshd/crypto/random';
import { openBox, type SealKey, sealBox } from './seal.js';

/** Form of the exchange that a ticket came from; it decides what may be called (S33). */
export type TicketLevel = 'device' | 'profile' | 'service';

const levelOctets: Readonly<Record<TicketLevel, number>> = { device: 1, profile: 2, service: 3 };
const levels = new Map(Object.entries(levelOctets).map(([level, octet]) => [octet, level as TicketLevel]));

/** Plain text of a ticket. Absent texts are empty. */
export interface TicketContent {
  readonly level: TicketLevel;
  /** Milliseconds since 1970, as are the next two. */
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** When a signature was last shown: renewal keeps it (S33). */
  readonly signedAtMs: number;
  readonly service: string;
  /** Canonical account address, or domain of a peer service. */
  readonly account: string;
  readonly accountUdf: string;
  /** UDF of ProfileDevice or ProfileHost. */
  readonly deviceUdf: string;
  /** A: raw key that signed the first exchange, 57 octets. */
  readonly key: Uint8Array;
  /** SHA-512 of the Connection payload, 64 octets; zeros where there was none. */
  readonly connectionDigest: Uint8Array;
  /** Feature words of the request that brought the ticket. */
  readonly features: readonly string[];
  /** PRK of the exchange, 64 octets. */
  readonly prk: Uint8Array;
}

const digestBytes = 64;

/** The plain text as octets, in the order of S31. */
export function encodeTicketContent(content: TicketContent): Uint8Array {
  if (content.connectionDigest.length !== digestBytes || content.prk.length !== digestBytes) {
    throw new RangeError('digest and secret of a ticket have 64 octets');
  }
  return concat(
    Uint8Array.of(levelOctets[content.level]),
    u64(content.issuedMs),
    u64(content.expiresMs),
    u64(content.signedAtMs),
    lv(content.service),
    lv(content.account),
    lv(content.accountUdf),
    lv(content.deviceUdf),
    lv(content.key),
    content.connectionDigest,
    lv(content.features.join(' ')),
    content.prk,
  );
}

/** Reads what {@link encodeTicketContent} wrote. Only our own boxes are read, so a fault is one of ours: RangeError. */
export function decodeTicketContent(octets: Uint8Array): TicketContent {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  let at = 0;
  const take = (length: number): Buffer => {
    at += length;
    if (at > buffer.length) throw new RangeError('the ticket ends early');
    return buffer.subarray(at - length, at);
  };
  const time = () => Number(take(8).readBigUInt64BE());
  const part = () => take(take(4).readUInt32BE());
  const text = () => part().toString('utf8');
  const level = levels.get(take(1).readUInt8());
  if (level === undefined) throw new RangeError('the ticket has no level');
  const [issuedMs, expiresMs, signedAtMs] = [time(), time(), time()];
  const [service, account, accountUdf, deviceUdf] = [text(), text(), text(), text()];
  const key = part();
  const connectionDigest = take(digestBytes);
  const features = text()
    .split(' ')
    .filter((word) => word !== '');
  const prk = take(digestBytes);
  if (at !== buffer.length) throw new RangeError('the ticket goes on after its end');
  return {
    ...{ level, issuedMs, expiresMs, signedAtMs, service, account, accountUdf, deviceUdf },
    ...{ key, connectionDigest, features, prk },
  };
}

/** Seals a ticket. */
export function sealTicket(sealKey: SealKey, serviceUdf: string, content: TicketContent, random: Random): Uint8Array {
  return sealBox('mesh-seal-1', sealKey, serviceUdf, encodeTicketContent(content), random);
}

/** Opens a ticket; undefined for one that is not ours, or whose key was retired. Its term is not judged. */
export function openTicket(
  keyOf: (keyId: Uint8Array) => SealKey | undefined,
  serviceUdf: string,
  ticket: Uint8Array,
): TicketContent | undefined {
  const plain = openBox('mesh-seal-1', keyOf, serviceUdf, ticket);
  return plain === undefined ? undefined : decodeTicketContent(plain);
}
