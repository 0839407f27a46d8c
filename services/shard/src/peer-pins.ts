/**
 * Pins of other services, for routers that must know them and for outbound workers that call the services (S70). The worker
 * has made discovery, TLS and Hello; whether what it found may follow the pin is judged here once more, since a pin that
 * one process could change alone would be worth no more than that process (S26).
 */
import { verifyService } from '@meshd/binding/host-chain';
import { whyNotSuccessor } from '@meshd/binding/service-succession';
import { importPublicKey } from '@meshd/crypto/ed448';
import {
  peerFailureBytesMax,
  peerFailureMs,
  peerFeaturesMax,
  peerFetchesPerSecondMax,
  peerLeaseMs,
  peerPendingMs,
  peerRenewMs,
} from '@meshd/limits/peers';
import type { Clock } from '@meshd/process/clock';
import type {
  LeasePeers,
  LeasePeersResult,
  LookupPeer,
  LookupPeerResult,
  Peer,
  SettlePeer,
} from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { canonicalDomain } from '@meshd/schema/address';
import { MeshError } from '@meshd/schema/status';
import { envelopeOctets, required, rpcEnvelope } from './rpc-messages.js';
import type { PeerSettlement, PeerStore, PinnedPeer } from './storage/peers.js';

/** Without it nothing of a service can be believed (S75). */
const featureRequired = 'auth-1';
const featureForm = /^[\x21-\x7e]{1,64}$/;

/** What a domain is pinned to; one that is not is thereby wanted. */
export async function lookupPeer(peers: PeerStore, asked: LookupPeer, nowMs: number): Promise<LookupPeerResult> {
  const known = await peers.lookup(canonicalDomain(asked.domain), nowMs);
  if (known.pinned !== undefined) return { peer: rpcPeer(known.pinned), retryAfterMs: undefined };
  const restMs = known.lastFailure === '' ? 0 : known.dueMs - nowMs;
  return { peer: undefined, retryAfterMs: Math.max(peerPendingMs, restMs) };
}

/** Domains for a worker to call, at most as many as may be called now. */
export async function leasePeers(peers: PeerStore, asked: LeasePeers, nowMs: number): Promise<LeasePeersResult> {
  const countMax = Math.min(asked.peersMax, peerFetchesPerSecondMax);
  const leased = await peers.lease(asked.owner, countMax, Math.min(asked.leaseMs, 2 * peerLeaseMs), nowMs);
  return {
    peers: leased.map(({ domain, pinned }) => ({ domain, pinned: pinned === undefined ? undefined : rpcPeer(pinned) })),
  };
}

/**
 * Takes the outcome of a call. A service that may not follow the pin is a failure like any other: the pin stays.
 *
 * @returns the failure that was noted; empty where the pin was set or renewed
 * @throws MeshError `not-found` where the lease is over
 */
export async function settlePeer(peers: PeerStore, asked: SettlePeer, clock: Clock): Promise<string> {
  const nowMs = clock();
  let failure = '';
  const settled = await peers.settle(asked.owner, asked.domain, async (pinned): Promise<PeerSettlement> => {
    const found = await judge(asked, pinned, nowMs);
    if (typeof found === 'object') return { pinned: found, dueMs: nowMs + peerRenewMs };
    failure = found;
    return { failure: found.slice(0, peerFailureBytesMax), dueMs: nowMs + peerFailureMs };
  });
  if (!settled) throw new MeshError('not-found', 'the lease of the domain is over');
  return failure;
}

/** What is pinned from now on, or why nothing new is. */
async function judge(asked: SettlePeer, pinned: PinnedPeer | undefined, nowMs: number): Promise<PinnedPeer | string> {
  const { domain, peer } = asked;
  if (peer === undefined) return asked.failure === '' ? 'unknown' : asked.failure;
  if (peer.domain !== domain) return 'host-refused: answers for another domain';
  const profileService = envelopeOctets(required(peer.profileService, 'profile'));
  const service = await verifyService(profileService).catch((error: Error) => error.message);
  if (typeof service === 'string') return `host-refused: ${service}`;
  if (Buffer.compare(service.offlineKey.raw, peer.serviceKey) !== 0) return 'host-refused: not the key of its profile';
  const { features } = peer;
  if (features.length > peerFeaturesMax || features.some((word) => !featureForm.test(word)))
    return 'features-malformed';
  const missing = [featureRequired, ...(pinned?.features ?? [])].find((word) => !features.includes(word));
  if (missing !== undefined) return `feature-missing: ${missing}`;
  if (pinned !== undefined) {
    const known = await verifyService(pinned.profileService);
    const why = await whyNotSuccessor(service, importPublicKey(pinned.serviceKey), known.updatedMs);
    if (why !== undefined) return `pin-mismatch: ${why}`;
  }
  return { domain, serviceKey: service.offlineKey.raw, profileService, features, verifiedMs: nowMs };
}

function rpcPeer({ domain, serviceKey, profileService, features, verifiedMs }: PinnedPeer): Peer {
  const key = Buffer.from(serviceKey);
  return { domain, serviceKey: key, profileService: rpcEnvelope(profileService), features: [...features], verifiedMs };
}
