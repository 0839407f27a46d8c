import { type VerifiedService, verifyHost } from '@meshd/binding/host-chain';
import { constantTimeEqual } from '@meshd/crypto/digest';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags } from '@meshd/encoding/codec';
import { clockSkewMsMax, containersPerAccountMax } from '@meshd/limits/limits';
import { isContainerName } from '@meshd/schema/container-name';
import { ContainerHeads } from '@meshd/schema/service';
import { ClientError } from './errors.js';
import type { TrustedHead } from './reader.js';

const headTags = defineTags('heads', { ContainerHeads });

/** The service's signed word on every container of an account (S45), verified. */
export interface SignedHeads {
  /** As received, with the host's profile and connection in it: what evidence and proof files are made of. */
  readonly octets: EnvelopeOctets;
  readonly accountUdf: string;
  readonly domain: string;
  /** When the service said so, milliseconds since 1970, by its clock. */
  readonly timeMs: number;
  readonly heads: ReadonlyMap<string, TrustedHead>;
}

function refuse(why: string, cause?: unknown): never {
  throw new ClientError('heads', `the service's signed heads are refused: ${why}`, { cause });
}

function decode(payload: Uint8Array | null): ContainerHeads {
  try {
    return decodeTagged(headTags, payload ?? new Uint8Array(0), { form: 'json', refuseRepeated: true }).value;
  } catch (cause) {
    return refuse((cause as Error).message, cause);
  }
}

function headsOf({ Heads: entries = [] }: ContainerHeads): Map<string, TrustedHead> {
  if (entries.length > containersPerAccountMax) refuse('more containers than an account can have');
  const heads = new Map<string, TrustedHead>();
  for (const { Container: name = '', Log: log, Index: size, Root: root } of entries) {
    const isWhole = log !== undefined && root !== undefined && size !== undefined && size > 0;
    if (!isWhole || !isContainerName(name) || heads.has(name))
      return refuse('one of them is incomplete or there twice');
    heads.set(name, { log, size, root });
  }
  return heads;
}

/**
 * Verifies signed heads under the service's key, without regard to the present time: the host's connection is judged at
 * the time that the heads state (S26).
 *
 * @param accountUdf undefined where any account will do: proof files say whose they are
 * @throws ClientError `heads`
 */
export async function verifyHeads(
  octets: EnvelopeOctets,
  service: VerifiedService,
  expected: { readonly accountUdf?: string | undefined; readonly domain?: string | undefined } = {},
): Promise<SignedHeads> {
  const opened = openEnvelope(octets);
  const value = decode(opened.payload);
  const { Account: accountUdf = '', Service: domain = '', Time: time } = value;
  if (expected.accountUdf !== undefined && accountUdf !== expected.accountUdf) refuse('they are of another account');
  if (expected.domain !== undefined && domain !== expected.domain) refuse('they are of another service');
  if (time === undefined) return refuse('they name no time');
  const [entry, second] = opened.signatures;
  if (entry?.Profile === undefined || entry.Connection === undefined || second !== undefined) {
    return refuse('they do not say which host signed them');
  }
  try {
    const host = await verifyHost(service, entry.Profile, entry.Connection, domain, time.getTime());
    await verifyEnvelope(opened, (kid) => (kid === host.key.udf ? host.key : undefined));
  } catch (cause) {
    return refuse((cause as Error).message, cause);
  }
  return { octets, accountUdf, domain, timeMs: time.getTime(), heads: headsOf(value) };
}

/** Heads must be fresh (S45). @throws ClientError `heads` */
export function requireFresh({ timeMs }: SignedHeads, nowMs: number): void {
  const ageMs = nowMs - timeMs;
  if (Math.abs(ageMs) <= clockSkewMsMax) return;
  const minutes = Math.round(Math.abs(ageMs) / 60_000);
  refuse(`they are ${minutes} min ${ageMs > 0 ? 'old' : 'ahead'}; check this device's clock`);
}

/** How a head stands to one that was known before. */
export type HeadChange = 'same' | 'longer' | 'shorter' | 'fork' | 'other-log';

/** Compares what the service shows with what is known. Whether a longer one continues the known one, a proof must say. */
export function compareHeads(known: TrustedHead, shown: TrustedHead): HeadChange {
  if (!constantTimeEqual(known.log, shown.log)) return 'other-log';
  if (shown.size !== known.size) return shown.size > known.size ? 'longer' : 'shorter';
  return constantTimeEqual(known.root, shown.root) ? 'same' : 'fork';
}

/** Two signed statements of the service that cannot both be true. */
export interface Selfcontradiction {
  readonly container: string;
  readonly kind: 'fork' | 'rollback';
  readonly earlier: TrustedHead;
  readonly later: TrustedHead;
}

/** Where the service contradicts its own earlier word (S45): one size and two roots, or less at a later time. */
export function contradictions(earlier: SignedHeads, later: SignedHeads): Selfcontradiction[] {
  const [first, second] = earlier.timeMs <= later.timeMs ? [earlier, later] : [later, earlier];
  const found: Selfcontradiction[] = [];
  for (const [container, known] of first.heads) {
    const shown = second.heads.get(container);
    if (shown === undefined) continue;
    const change = compareHeads(known, shown);
    if (change === 'fork') found.push({ container, kind: 'fork', earlier: known, later: shown });
    if (change === 'shorter' && first.timeMs < second.timeMs) {
      found.push({ container, kind: 'rollback', earlier: known, later: shown });
    }
  }
  return found;
}

/** A head as a C2SP checkpoint, for witnesses that know no DARE (S45). */
export function checkpointText(domain: string, head: TrustedHead): string {
  const origin = `${domain}/mesh/${Buffer.from(head.log).toString('hex')}`;
  return `${origin}\n${head.size}\n${Buffer.from(head.root).toString('base64')}\n`;
}
