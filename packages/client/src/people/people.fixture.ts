/** People with an account and a device, in memory: what they say is signed and sealed as on any device. */

import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { decodeTagged, encodeTagged } from '@meshd/encoding/codec';
import type { JsonObject } from '@meshd/encoding/json-value';
import { writeJson } from '@meshd/encoding/json-writer';
import { messageBytesMax } from '@meshd/limits/limits';
import { ConnectionAccount, connectionRegistry, type Permission } from '@meshd/schema/connections';
import { ProfileAccount, profileRegistry } from '@meshd/schema/profiles';
import { type DeviceKeys, makeDeviceKeys } from '../device-keys.js';
import { fakeNowMs } from '../fake-service.fixture.js';
import { type Identity, makeIdentity, publicMember } from '../identity.js';
import { buildMessage } from '../message-build.js';
import { type MessageFrame, readSpoolFrame } from '../message-read.js';

/** Somebody with a device. */
export class Someone {
  readonly address: string;
  readonly keys: DeviceKeys = makeDeviceKeys(systemRandom);
  readonly identity: Identity;

  /** @param permissions of the device; empty: everything */
  constructor(address: string, permissions: readonly Permission[] = []) {
    this.address = address;
    const identity = makeIdentity(this.keys, address, fakeNowMs, 'phone');
    this.identity = permissions.length === 0 ? identity : this.#limited(identity, permissions);
  }

  #limited(identity: Identity, permissions: readonly Permission[]): Identity {
    const { payload } = identity.connectionAccount;
    const { value } = decodeTagged(connectionRegistry, payload ?? new Uint8Array(0), { form: 'json' });
    const connection = { ...(value as ConnectionAccount), Permissions: [...permissions] };
    const connectionAccount = signEnvelope({
      payload: encodeTagged(ConnectionAccount, connection, 'json'),
      contentType: 'application/mmm',
      keys: [this.keys.key('accountOnline')],
    });
    return { ...identity, connectionAccount };
  }

  /** The same account with a newer profile, which names another key to encrypt to, and other addresses where they are given. */
  renewed(nowMs: number, addresses?: readonly string[]): Someone {
    const { payload } = this.identity.profileAccount;
    const { value } = decodeTagged(profileRegistry, payload ?? new Uint8Array(0), { form: 'json' });
    const KeyEncryption = publicMember(this.keys.key('meshEncryption'));
    const moved = addresses === undefined ? {} : { ServiceIDs: [...addresses] };
    const profile = { ...(value as ProfileAccount), ...moved, Updated: new Date(nowMs), KeyEncryption };
    const profileAccount = signEnvelope({
      payload: encodeTagged(ProfileAccount, profile, 'json'),
      contentType: 'application/mmm',
      keys: [this.keys.key('accountOffline')],
    });
    return Object.assign(Object.create(Someone.prototype), this, { identity: { ...this.identity, profileAccount } });
  }

  /** Who signs. */
  get sender() {
    return {
      ...{ address: this.address, signer: this.keys.key('connectionSignature') },
      ...{ connectionAccount: this.identity.connectionAccount, profileAccount: this.identity.profileAccount },
    };
  }

  /** A message to somebody, sealed for both. */
  say(to: Someone, type: string, members: object, nowMs = fakeNowMs): EnvelopeOctets {
    const uniqueId = nonceUdf(systemRandom);
    const own = { MessageID: uniqueId, Sender: this.address, Recipient: to.address };
    const body = writeJson({ [type]: { ...own, ...members } as unknown as JsonObject });
    const readers = [to, this].map(({ keys }) => keys.key('accountEncryption').publicKey.raw);
    const draft = { type, body, uniqueId, recipient: to.address, readers };
    return buildMessage(draft, this.sender, { nowMs, random: systemRandom }, messageBytesMax);
  }

  /** A message as this person reads it. @throws Error where it proves nothing */
  async read(octets: EnvelopeOctets): Promise<MessageFrame> {
    const reading = {
      ...{ key: this.keys.decryption('accountEncryption'), address: this.address },
      ...{ service: undefined as never, marks: undefined as never },
    };
    const frame = await readSpoolFrame(octets, 1, reading);
    if (frame.kind !== 'message') throw new Error('reason' in frame ? frame.reason : frame.kind);
    return frame;
  }
}
