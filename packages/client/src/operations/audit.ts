import { constantTimeEqual } from '@meshd/crypto/digest';
import { root } from '@meshd/dare/log-tree';
import { apex } from '@meshd/dare/merkle';
import type { Device } from '../device.js';
import { acknowledgeEvidence, type FiledEvidence, loadEvidence } from '../evidence.js';
import { loadPending } from '../pending.js';
import { Replica, type StoredReplica } from '../replica.js';
import { checkpointText, compareHeads } from '../signed-heads.js';

/** How a replica stands to what was verified before, and to the service's word. */
export interface ReplicaState {
  readonly container: string;
  readonly log: Uint8Array;
  /** Size and root that were verified and recorded. */
  readonly frameCount: number;
  readonly root: Uint8Array;
  /** Recomputed from the frames on disk just now. */
  readonly recomputedCount: number;
  readonly recomputedRoot: Uint8Array;
  readonly digest: Uint8Array | undefined;
  /** The frames on disk are those that were verified. A synchronisation mends what is not. */
  readonly isIntact: boolean;
  /** Frames whose body was left out when they were fetched. */
  readonly redactedCount: number;
  /** Changes that wait to be uploaded. */
  readonly waitingCount: number;
  /** How the service's kept head stands to the replica; undefined without one. */
  readonly signedHead: 'same' | 'longer' | 'shorter' | 'fork' | 'other-log' | undefined;
  /** The service's kept head as a C2SP checkpoint. */
  readonly checkpoint: string | undefined;
}

/** What a home can say about its service. */
export interface Audit {
  readonly evidence: readonly FiledEvidence[];
  readonly replicas: readonly ReplicaState[];
  /** When the kept heads were signed. */
  readonly headsMs: number | undefined;
}

async function replicaState(device: Device, stored: StoredReplica): Promise<Omit<ReplicaState, 'waitingCount'>> {
  const { container, log, size, root: verified } = stored;
  const replica = await device.replica(container);
  const { trees, leaves } = replica.recompute();
  const recomputedRoot = root(trees.log);
  const heads = await device.heads.latest();
  const head = heads?.heads.get(container);
  return {
    ...{ container, log, frameCount: size, root: verified, recomputedCount: leaves.length, recomputedRoot },
    digest: apex(trees.tree),
    isIntact: leaves.length === size && constantTimeEqual(recomputedRoot, verified),
    redactedCount: replica.redactedCount,
    signedHead: head && compareHeads(stored, head),
    checkpoint: heads && head && checkpointText(heads.domain, head),
  };
}

/** Collects the evidence and recomputes every replica from disk. Asks nobody. */
export async function auditHome(device: Device): Promise<Audit> {
  const { home } = device.session;
  const pending = await loadPending(home);
  const replicas: ReplicaState[] = [];
  for (const stored of await Replica.storedIn(home)) {
    const waiting = pending.filter(({ container }) => container === stored.container);
    const waitingCount = waiting.reduce((sum, { entries }) => sum + entries.length, 0);
    replicas.push({ ...(await replicaState(device, stored)), waitingCount });
  }
  return { evidence: await loadEvidence(home), replicas, headsMs: (await device.heads.latest())?.timeMs };
}

/** Lets writing go on after the user has seen the evidence. @returns how many records were open */
export function acknowledge(device: Device): Promise<number> {
  return acknowledgeEvidence(device.session.home, device.session.environment.nowMs());
}
