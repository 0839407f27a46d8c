import { constantTimeEqual } from '@meshd/crypto/digest';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { root } from '@meshd/dare/log-tree';
import { apex } from '@meshd/dare/merkle';
import { hasServiceMadeZero, isServiceSpool } from '../container-rules.js';
import type { Device } from '../device.js';
import { recordEvidence, requireNoEvidence, settleRollbacks } from '../evidence.js';
import { appendFrame, noTrees } from '../frame.js';
import type { Replica } from '../replica.js';
import { type AccountView, askStatus, judgeView, rollbackError, type ServiceHead } from './account-status.js';

/** Whether what the service has left is the beginning of what is here: by its signed root, else by its digest. */
async function isBeginning(replica: Replica, head: ServiceHead, view: AccountView): Promise<boolean> {
  if (head.frameCount === 0) return true;
  let trees = noTrees;
  for (let at = 0; at < head.frameCount; at += 1) trees = appendFrame(trees, await replica.envelope(at)).trees;
  const signed = view.signed?.heads.get(head.container);
  if (signed !== undefined) return signed.size === head.frameCount && constantTimeEqual(signed.root, root(trees.log));
  const digest = apex(trees.tree);
  return head.digest !== undefined && digest !== undefined && constantTimeEqual(head.digest, digest);
}

/** Whether this device has everything that is missing, and a client may write it. */
async function canHeal(replica: Replica, head: ServiceHead): Promise<boolean> {
  const { container, size } = replica.reader;
  if (isServiceSpool(container) || size < (replica.trusted?.size ?? 0)) return false;
  if (head.frameCount === 0 && hasServiceMadeZero(container)) return false;
  for (let at = head.frameCount; at < size; at += 1) if (await replica.lacksBody(at)) return false;
  return true;
}

const bearsManifest = (octets: EnvelopeOctets) =>
  openEnvelope(octets).signatures.some((entry) => entry.Manifest !== undefined);

/** Puts the missing frames back as they are, each batch with the manifest that it was made with. */
async function putBack(device: Device, replica: Replica, from: number): Promise<boolean> {
  const { container, size } = replica.reader;
  let batch: EnvelopeOctets[] = [];
  let first = from;
  for (let at = from; at < size; at += 1) {
    const octets = await replica.envelope(at);
    batch.push(octets);
    // Frame 0 has a manifest of its own, and travels with the first batch.
    if (at === 0 || !bearsManifest(octets)) continue;
    const response = await device.session.call('Upload', {
      Updates: [{ Container: container, Index: first, Envelopes: batch }],
    });
    if (!response.succeeded) return false;
    first = at + 1;
    batch = [];
  }
  return batch.length === 0;
}

/**
 * Gives a service back what it has lost (S47): frames that this device has verified are authentic, so that a service
 * restored from a backup is whole again. That it happened is recorded.
 *
 * @param shorter containers of which the service has less than was verified here
 * @returns what the service shows afterwards
 * @throws ClientError `rollback` where it cannot be done or the service will not have it; `evidence`
 */
export async function heal(device: Device, shorter: readonly ServiceHead[], view: AccountView): Promise<AccountView> {
  const { home, environment } = device.session;
  const missing = shorter.map(({ container }) => container);
  const healed: { container: string; size: number; shown: number }[] = [];
  for (const head of shorter) {
    const { container, frameCount } = head;
    const replica = await device.replica(container);
    const verified = replica.trusted ?? replica.reader.head;
    if (verified === undefined) continue;
    const refused = () => rollbackError(container, verified, { size: frameCount });
    if (!(await canHeal(replica, head)) || !(await isBeginning(replica, head, view))) throw refused();
    await requireNoEvidence(home, missing);
    if (!(await putBack(device, replica, frameCount))) throw refused();
    healed.push({ container, size: verified.size, shown: frameCount });
  }
  const after = await askStatus(device);
  const verified = await Promise.all(
    healed.map(async ({ container }) => {
      const { reader, trusted } = await device.replica(container);
      const head = trusted ?? reader.head;
      return head && { ...head, container, digest: reader.apex };
    }),
  );
  const known = verified.flatMap((each) => each ?? []);
  for (const { container, frameCount } of judgeView(after, known)) {
    const head = known.find((each) => each.container === container);
    if (head !== undefined) throw rollbackError(container, head, { size: frameCount });
  }
  for (const { container, size, shown } of healed) {
    const message = `the service had ${shown} frames of ${container} and this device ${size}: the missing ones were put back`;
    const finding = { kind: 'healed', container, message, verified: { size }, shown: { size: shown } } as const;
    const before = (await device.heads.latest())?.octets;
    await recordEvidence(home, { ...finding, headsBefore: before, headsNow: view.signed?.octets }, environment.nowMs());
  }
  await settleRollbacks(
    home,
    healed.map(({ container }) => container),
    environment.nowMs(),
  );
  return after;
}
