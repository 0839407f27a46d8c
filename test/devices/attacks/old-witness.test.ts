/** What the witness of devices shows that commit to nothing, and what it does not (S53, semantics 7.1). */
import { acceptByCode, acceptByWitness } from '@meshd/client/operations/administer-devices';
import { confirmConnection } from '@meshd/client/operations/connect-device';
import { deviceRequests } from '@meshd/client/operations/pending-devices';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { connectNonceBytes, verifyConnectionRequest } from '@meshd/schema/connection-check';
import { connectionWitness } from '@meshd/schema/connection-witness';
import { verifyProfile } from '@meshd/schema/profile-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  middle.answering = (honest) => honest;
  middle.requestShown = (message) => message;
  phone = await NewDevice.make(middle);
});

/** What the phone shows to its user. */
async function shown(): Promise<string> {
  const progress = await phone.complete();
  if (progress.stage !== 'witness') throw new Error(`the phone is ${progress.stage}`);
  return progress.witness;
}

/** The witness is typed at the administrator's device. */
const type = (id: string, witness: string) =>
  middle.admin(async (device) => {
    const found = (await deviceRequests(device)).pending.find((each) => each.id === id);
    if (found === undefined) throw new Error('nobody asks');
    return acceptByWitness(device, found, witness);
  });

describe('[R306] [S53] the witness of an old device', () => {
  it('is the same at both ends, each of which computes it, and connects when it was typed at both', async () => {
    const { deviceUdf } = await phone.askOld();
    const witness = await shown();
    expect(witness).toMatch(/^([A-Z2-7]{4}-){6}[A-Z2-7]{4}$/);
    const { confirm } = await type(middle.nameOf(deviceUdf), witness);
    expect(confirm).toBe(witness);
    expect(await phone.complete()).toMatchObject({ stage: 'witness' });
    expect(await refusal(confirmConnection(phone.folder, witness.slice(0, 24)))).toMatch(/look again/);
    expect(await confirmConnection(phone.folder, witness)).toMatchObject({ stage: 'connected' });
  });

  it('shows a service that swaps the keys of both ends: it is another one at each', async () => {
    const [mallet, double] = [new Mallet(), new Mallet().request(true)];
    middle.answering = () => mallet.identity;
    middle.requestShown = () => double.message;
    const { deviceUdf } = await phone.askOld();
    const before = middle.catalogFrames;
    expect(await refusal(type(middle.nameOf(deviceUdf), await shown()))).toMatch(/all seven groups/);
    expect([middle.catalogFrames, await phone.isConnected()]).toEqual([before, false]);
  });

  it('can be made to look alike by such a service, in as much as it has time for: all of it has to be typed', async () => {
    const [mallet, double] = [new Mallet(), new Mallet().request(true)];
    middle.answering = () => mallet.identity;
    middle.requestShown = () => double.message;
    await phone.askOld();
    const witness = await shown();
    // The nonce of the other end is the service's to choose: ten bits of the witness take it a thousand trials.
    const { profile, clientNonce } = await verifyConnectionRequest(double.message);
    const mesh = await middle.admin(({ session }) => verifyProfile(session.identity.profileMesh, 'ProfileMesh'));
    const parts = {
      ...{ meshFingerprint: fingerprint64('Ed448', mesh.offlineKey.raw), clientNonce },
      deviceFingerprint: fingerprint64('Ed448', profile.offlineKey.raw),
    };
    let serverNonce = systemRandom(connectNonceBytes);
    const alike = () => connectionWitness({ ...parts, serverNonce }).startsWith(witness.slice(0, 2));
    while (!alike()) serverNonce = systemRandom(connectNonceBytes);
    const id = nonceUdf(systemRandom);
    middle.acknowledge(id, double.message, serverNonce);
    for (const typed of [witness, witness.slice(0, 2), witness.slice(0, 9)]) {
      expect(await refusal(type(id, typed))).toMatch(/^connect: /);
    }
    // Three were wrong.
    expect(await refusal(type(id, connectionWitness({ ...parts, serverNonce })))).toMatch(/have the device ask anew/);
  });

  it('is not taken for a code, nor a code for it', async () => {
    const old = middle.nameOf((await phone.askOld()).deviceUdf);
    const tablet = await NewDevice.make(middle);
    const able = middle.nameOf((await tablet.ask()).deviceUdf);
    const witness = await shown();
    const pending = await middle.pending();
    const byCode = (id: string) =>
      middle.admin((device) => {
        const found = pending.find((each) => each.id === id);
        if (found === undefined) throw new Error('nobody asks');
        return acceptByCode(device, { ...found, revealNonce: systemRandom(32) }, witness);
      });
    expect(await refusal(byCode(old))).toMatch(/^usage: /);
    expect(await refusal(type(able, witness))).toMatch(/^usage: .*can be connected by a code/);
    expect(await refusal(middle.open((await phone.askOld()).deviceUdf))).toMatch(/^connect: .*too old for a code/);
  });
});
