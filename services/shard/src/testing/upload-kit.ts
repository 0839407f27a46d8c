/** For tests of uploads: an account with a listed device, a catalog that is not written yet, and what is told of an upload. */
import { statusRegistry } from '@meshd/schema/status';
import type { UploadResult } from '../transactions/upload.js';
import { codeOfFaults, type EntryFault, extendedOf } from '../upload/fault.js';
import { entry, Person, type TestDevice, TestWriter } from './person.js';
import { TestShard } from './test-shard.js';

/** Who uploads, where to, and by whose hand. */
export interface UploadKit {
  readonly shard: TestShard;
  readonly alice: Person;
  readonly device: TestDevice;
  /** Writes `mmm_Credential`, which is not opened yet. */
  readonly writer: TestWriter;
}

/** Makes one. */
export async function openUploadKit(): Promise<UploadKit> {
  const shard = await new TestShard().start();
  const alice = new Person('alice');
  const device = alice.device();
  await shard.join(alice, device);
  return { shard, alice, device, writer: new TestWriter('mmm_Credential', alice.accountUdf, device.signature) };
}

/** A new entry of a catalog. */
export const credential = (id: string) => entry({ UniqueID: id, Event: 'New' });

/** What an upload was refused for. Throws when it was accepted. */
export function faultsOf(result: UploadResult): readonly EntryFault[] {
  if (!('faults' in result)) throw new Error('accepted');
  return result.faults;
}

/** `status/extended result@entry` of the first fault, or `accepted`. */
export function told(result: UploadResult): string {
  if (!('faults' in result)) return 'accepted';
  const first = result.faults[0] as EntryFault;
  const { status } = statusRegistry[codeOfFaults(result.faults)];
  return `${status}/${extendedOf(first.code)} ${first.result}@${first.indexRequest}`;
}
