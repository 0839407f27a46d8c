/** A service that stands between both ends, with a Mesh for the device and a device for the administrator (S53). */

import { type MadeRequest, meshPartsOf } from '@meshd/client/connect/asking';
import { loadOpened } from '@meshd/client/connect/opened-file';
import { shortCodes, transcriptDigest } from '@meshd/client/connect/transcript';
import { acceptByCode } from '@meshd/client/operations/administer-devices';
import { confirmConnection } from '@meshd/client/operations/connect-device';
import { systemRandom } from '@meshd/crypto/random';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { connectNonceBytes, verifyConnectionRequest } from '@meshd/schema/connection-check';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { address, Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

let middle: Middle;
let phone: NewDevice;
let mallet: Mallet;
/** The device that the administrator is shown. */
let double: MadeRequest;
/** What the phone has asked. */
let asks: EnvelopeOctets;
let id: string;

beforeAll(async () => {
  middle = await startMiddle();
});

beforeEach(async () => {
  phone = await NewDevice.make(middle);
  mallet = new Mallet();
  double = mallet.request();
  // The phone is told of a Mesh that is Mallet's, the administrator of a phone that is Mallet's.
  middle.entryShown = (honest) => honest;
  middle.answering = () => mallet.identity;
  middle.requestShown = (message) => {
    asks = message;
    return double.message;
  };
  middle.passesReveals = false;
  const { deviceUdf } = await phone.ask();
  id = middle.nameOf(deviceUdf);
});

/** What the phone shows to its user, once Mallet has challenged it. */
async function codeOfPhone(): Promise<string> {
  const challenge = mallet.challenge(id, systemRandom(32));
  middle.challengeShown = () => challenge;
  const shown = await phone.complete();
  if (shown.stage !== 'code') throw new Error(`the phone is ${shown.stage}`);
  return shown.code;
}

describe('[S53] a service that swaps the keys of both ends', () => {
  it('lets the user see a code at the device that is not that of the request which the administrator opens', async () => {
    await middle.open(double.deviceUdf);
    const code = await codeOfPhone();
    middle.reveal(id, double.commitment?.revealNonce as Uint8Array);
    const before = middle.catalogFrames;
    expect(await refusal(middle.type(id, code))).toMatch(/^connect: .*not the code/);
    expect(middle.catalogFrames).toBe(before);
  });

  it('gives the device an entry that it holds, and no second half with which it would be used', async () => {
    await codeOfPhone();
    // Mallet knows the phone's secret now, but not what a user is to read off the true administrator's device.
    const entry = await mallet.entry(asks);
    middle.entryShown = () => entry;
    expect(await phone.complete()).toMatchObject({ stage: 'code' });
    expect(await refusal(confirmConnection(phone.folder, 'AAAA-AAAA'))).toMatch(/not what the administrator/);
    expect(await phone.isConnected()).toBe(false);
  });

  it('cannot choose the device that the administrator is shown after it has seen the nonce of the challenge', async () => {
    const seen = await middle.open(double.deviceUdf);
    await codeOfPhone();
    // With both nonces it has all the time it wants to look for a request that has the phone's code: here it has found one.
    const [chosen, serverNonce] = [mallet.request(), systemRandom(connectNonceBytes)];
    middle.acknowledge(id, chosen.message, serverNonce);
    const code = await codeOf(chosen, serverNonce);
    middle.reveal(id, chosen.commitment?.revealNonce as Uint8Array);
    const before = middle.catalogFrames;
    // A spool holds a name once: the second request under it is told from a true history.
    expect(await refusal(middle.type(id, code))).toMatch(/^frame: .*UniqueID that the spool holds already/);
    // Nor would it be taken if the spool showed nothing else.
    const request = await verifyConnectionRequest(chosen.message);
    const other = { ...seen, request, serverNonce, revealNonce: chosen.commitment?.revealNonce };
    const accept = middle.admin((device) => acceptByCode(device, other, code));
    expect(await refusal(accept)).toMatch(/^connect: .*another request than the one that was opened/);
    expect(middle.catalogFrames).toBe(before);
  });
});

/** The code of a request at the true account, under the challenge that the administrator has made. */
async function codeOf({ commitment }: MadeRequest, serverNonce: Uint8Array): Promise<string> {
  if (commitment === undefined) throw new Error('an old device has no code');
  const { request, commit, revealNonce } = commitment;
  return middle.admin(async ({ session }) => {
    const { profileMesh, profileAccount } = session.identity;
    const mesh = await meshPartsOf(profileMesh, profileAccount, address);
    const adminNonce = (await loadOpened(session.home)).requests.get(id)?.adminNonce as Uint8Array;
    return shortCodes(transcriptDigest(request, commit, mesh, serverNonce), revealNonce, adminNonce).code;
  });
}
