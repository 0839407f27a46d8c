/** A service that would have a device whose code it has not seen, where the device hails and where it is invited to (S56). */

import { parseEarl } from '@meshd/client/connect/earl';
import { loadHailing } from '@meshd/client/connect/hailing-file';
import { makeOffer } from '@meshd/client/connect/offer-message';
import { fakeNowMs, temporaryHome } from '@meshd/client/fake-service.fixture';
import { Home } from '@meshd/client/home';
import { acceptByPins } from '@meshd/client/operations/device-pins';
import { type PreconfiguredDevice, pollHailing, preconfigureDevice } from '@meshd/client/operations/hail';
import { systemRandom } from '@meshd/crypto/random';
import { encryptionKeyUdf } from '@meshd/crypto/udf';
import { makeEnvelope } from '@meshd/dare/envelope';
import { encodeTagged } from '@meshd/encoding/codec';
import { OfferConnection } from '@meshd/schema/messages-mesh';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answering, address, Mallet, type Middle, NewDevice, refusal, startMiddle } from './middle.js';

const mallet = new Mallet();
let middle: Middle;
let folder: string;
let lamp: PreconfiguredDevice;

beforeAll(async () => {
  middle = await startMiddle();
});
beforeEach(async () => {
  folder = await temporaryHome();
  const options = { description: 'lamp', hasButton: false };
  lamp = await middle.admin((device) => preconfigureDevice(device, folder, options));
  await NewDevice.make(middle, folder);
  middle.answering = (honest) => honest;
  middle.hailed = undefined;
});

/** An offer of a Mesh, by a key that is the code's or is not. */
function offer({ profileMesh, profileAccount }: Answering, meshOfflineKey: Uint8Array, key: string) {
  const { secret } = parseEarl(`udf://example.com/${key}`);
  const invitation = { deviceUdf: lamp.deviceUdf, account: address, profileMesh, profileAccount, meshOfflineKey };
  const made = makeOffer(invitation, secret, { nowMs: fakeNowMs, random: systemRandom });
  const payload = encodeTagged(OfferConnection, made.members, 'json');
  return { octets: makeEnvelope({ header: {}, payload }), pin: made.pin };
}

const poll = () => pollHailing(folder, middle.environment());
const malletsKey = mallet.keys.key('meshOffline').publicKey.raw;

describe('[S56] a device with a code that the service has not seen', () => {
  it('takes no offer of its: it knows the device, the account and the time, and lacks the key', async () => {
    middle.hailed = offer(mallet.identity, malletsKey, encryptionKeyUdf(systemRandom(16))).octets;
    middle.answering = () => mallet.identity;
    const { progress, ignored } = await poll();
    expect([progress.stage, ignored.join()]).toEqual(['waiting', expect.stringMatching(/without the code/)]);
    expect(await loadHailing(new Home(folder))).toMatchObject({ taken: undefined });
  });

  it('follows the true offer to no other Mesh, which is told from the one that made it', async () => {
    const { earl } = lamp;
    const [honest, key] = await middle.admin(async ({ session }) => {
      return [session.identity, session.keys.key('meshOffline').publicKey.raw] as const;
    });
    middle.hailed = offer(honest, key, parseEarl(earl).key).octets;
    middle.answering = () => mallet.identity;
    expect(await refusal(poll())).toMatch(/^connect: .*another Mesh answers than the one that made the offer/);
    expect(await new Home(folder).readJson('account.json')).toBeUndefined();
  });

  it('[S54] is not let in by the PIN of an offer that its administrator has not made', async () => {
    const { identity, key } = await middle.admin(async ({ session }) => {
      return { identity: session.identity, key: session.keys.key('meshOffline').publicKey.raw };
    });
    middle.hailed = offer(identity, key, parseEarl(lamp.earl).key).octets;
    expect((await poll()).progress.stage).toBe('waiting');
    const judged = await middle.admin((device) => acceptByPins(device));
    expect(judged.filter(({ pending }) => pending.deviceUdf === lamp.deviceUdf)).toMatchObject([
      { outcome: 'invalid' },
    ]);
    expect(middle.isListed(lamp.deviceUdf)).toBe(false);
  });
});
