import type { Device } from '../device.js';
import { ClientError } from '../errors.js';
import { recordEvidence } from '../evidence.js';
import { contradictions } from '../signed-heads.js';

/**
 * Does `work`, and writes down what it finds the service doing: both statements with the signed heads of before and of
 * now. The error goes on to the user afterwards.
 */
export async function recordingEvidence<T>(device: Device, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ClientError && error.contradiction !== undefined) await record(device, error);
    throw error;
  }
}

async function record(device: Device, error: ClientError): Promise<void> {
  const { contradiction, message, code } = error;
  if (contradiction === undefined) return;
  const { container, verified, shown } = contradiction;
  const before = await device.heads.latest();
  const now = device.heads.shown;
  // What the service signed twice convinces others too; what only this device verified is its word against another.
  const isSigned =
    before !== undefined &&
    now !== undefined &&
    contradictions(before, now).some((each) => each.container === container);
  await recordEvidence(
    device.session.home,
    {
      ...{ kind: code === 'fork' ? 'fork' : 'rollback', container, message, verified, shown },
      isProof: contradiction.isProof === true || isSigned,
      headsBefore: before?.octets,
      headsNow: now?.octets,
    },
    device.session.environment.nowMs(),
  );
  await device.dropReplica(container);
}
