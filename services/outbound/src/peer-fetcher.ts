/**
 * Finds out which key other services have (S70): domains that a router or a worker asked for, and those whose pin is a day
 * old, are leased from the directory, called by our own discovery and TLS, and settled. The directory bounds how many are
 * called a second, all workers together, and judges what may follow a pin.
 */
import { BindingError } from '@meshd/binding/errors';
import { PeerConnection, type PeerConnectionOptions } from '@meshd/binding/peer-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { outboundTransactionMsMax } from '@meshd/limits/limits';
import { peerFetchesPerSecondMax, peerLeaseMs } from '@meshd/limits/peers';
import type { LeasedPeer } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { peerOf, pinOf } from './peer-pins.js';
import type { Shards } from './shards.js';

/** What {@link fetchPeers} needs. */
export interface PeerFetcherOptions extends Pick<PeerConnectionOptions, 'locator' | 'host' | 'ca' | 'clock'> {
  readonly shards: Pick<Shards, 'askAny' | 'tellAny'>;
  /** Name of this worker. */
  readonly owner: string;
  /** Told of every call; the failure is empty where there was none. */
  readonly onFetched: (domain: string, failure: string) => void;
}

/**
 * Calls the services that are wanted now.
 *
 * @returns how many were called
 * @throws RpcError, MeshError where no shard can be asked
 */
export async function fetchPeers(options: PeerFetcherOptions): Promise<number> {
  const value = { owner: options.owner, peersMax: peerFetchesPerSecondMax, leaseMs: peerLeaseMs };
  const { peers } = await options.shards.askAny({ $case: 'leasePeers', value }, 'leasePeers');
  await Promise.all(peers.map((peer) => fetchPeer(options, peer)));
  return peers.length;
}

async function fetchPeer(options: PeerFetcherOptions, { domain, pinned }: LeasedPeer): Promise<void> {
  const { shards, owner, clock, onFetched, locator, host, ca } = options;
  const before = pinned && pinOf(pinned);
  // The pin as the directory has it, and nothing that was seen elsewhere.
  const pins = memoryPinStore(before === undefined ? [] : [before]);
  const connection = new PeerConnection({ domain, locator, host, pins, ca, clock });
  let settled: { peer: ReturnType<typeof peerOf> | undefined; failure: string };
  try {
    const { pin } = await connection.hello({ deadlineMs: clock() + outboundTransactionMsMax });
    settled = { peer: peerOf(pin, clock()), failure: '' };
  } catch (error) {
    if (!(error instanceof BindingError)) throw error;
    settled = { peer: undefined, failure: error.code };
  } finally {
    connection.stop();
  }
  onFetched(domain, settled.failure);
  await shards.tellAny({ $case: 'settlePeer', value: { owner, domain, ...settled } });
}
