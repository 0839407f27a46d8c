/** Whom a service takes for another one: certificate, pin, features (S22, S23, S26, S74, S75). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HostIdentity, hostFileNames } from '@meshd/binding/host-files';
import { memoryPinStore, type PinStore } from '@meshd/binding/pins';
import { importPublicKey, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { readKeyFile } from '@meshd/crypto/key-file';
import { signEnvelope } from '@meshd/dare/sign';
import { encodeTagged } from '@meshd/encoding/codec';
import { Peers } from '@meshd/outbound/peers';
import { postCarrier } from '@meshd/outbound/post-carrier';
import { ProfileService } from '@meshd/schema/profiles';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HelloScript, helloAnswer, makeIdentity, ScriptedService } from '../client/scripted-service.js';
import { codeOf, domain, locatorAt, within } from './discovery-kit.js';
import { PeerBench, zoneAt } from './peer-kit.js';

let bench: PeerBench;
let peer: ScriptedService;
let pins: PinStore;
beforeEach(async () => {
  bench = await PeerBench.start();
  ({ peer } = bench);
  pins = memoryPinStore();
});
afterEach(() => bench.stop());

const day = 24 * 3_600_000;
const post = { Accounts: ['bob@beta.test'] };
const greet = (options = {}) => codeOf(bench.link({ pins, ...options }).hello(within()));

/** Hello is answered so from now on. */
function greets(script: HelloScript): void {
  peer.respond = async (request) => {
    if (request.base.transaction !== 'Hello') return peer.honestly(request);
    return { httpStatus: 201, body: await helloAnswer(peer.identity, request, script) };
  };
}

describe('[S74] the certificate', () => {
  it('must be the domain\u2019s: that of the host to which SRV points is not enough, however valid, pin or not', async () => {
    const target = await ScriptedService.start([domain], ['host.beta.test']);
    try {
      target.identity = peer.identity;
      await bench.dns.setZone(zoneAt(target.port));
      const ca = target.ca;
      expect(await greet({ ca })).toBe('transport');
      await bench.dns.setZone(zoneAt(peer.port));
      await greet();
      const before = await pins.get(domain);
      await bench.dns.setZone(zoneAt(target.port));
      expect(await greet({ ca })).toBe('transport');
      expect(await codeOf(bench.link({ pins, ca }).post(post, within()))).toBe('transport');
      expect(target.requests).toEqual([]);
      expect(await pins.get(domain)).toEqual(before);
    } finally {
      await target.stop();
    }
  });

  it('must come from somebody who is trusted', async () => {
    expect(await greet({ ca: undefined })).toBe('transport');
    expect(peer.requests).toEqual([]);
  });

  it('of the domain at another of its places is found where the first shows another', async () => {
    const target = await ScriptedService.start([domain], ['host.beta.test']);
    try {
      await bench.dns.setZone(zoneAt(target.port, peer.port));
      expect(await greet({ ca: `${peer.ca}${target.ca}` })).toMatchObject({ firstUse: true });
    } finally {
      await target.stop();
    }
  });
});

describe('[S26] the pin of another service', () => {
  it('is made at first use, and the same service is known again', async () => {
    expect(await greet()).toMatchObject({ firstUse: true });
    expect(await greet()).toMatchObject({ firstUse: false });
    expect(importPublicKey((await pins.get(domain))?.serviceKey as Uint8Array).udf).toBe(peer.identity.serviceUdf);
  });

  it.each([
    ['has expired', { nowMs: Date.now() - 8 * day }, 'host-refused'],
    ['is not in force yet', { nowMs: Date.now() + day }, 'host-refused'],
    ['names another domain', { domains: ['gamma.test'] }, 'host-refused'],
  ])('is made of no host whose ConnectionHost %s', async (_name, options, code) => {
    peer.identity = await makeIdentity(join(bench.folder, 'other'), { domains: [domain], ...options });
    expect(await greet()).toBe(code);
    expect(await pins.get(domain)).toBeUndefined();
  });

  it('is made of no host whose ConnectionHost another service signed', async () => {
    const stranger = await makeIdentity(join(bench.folder, 'other'), { domains: [domain] });
    greets({ members: { EnvelopedConnectionHost: stranger.connectionHost } });
    expect(await greet()).toBe('host-refused');
    expect(await pins.get(domain)).toBeUndefined();
  });

  /** Another service of the same domain, its profile signed by itself and, where wanted, by the one before. */
  async function successor(isSigned: boolean): Promise<HostIdentity> {
    const folder = join(bench.folder, 'successor');
    const identity = await makeIdentity(folder, { domains: [domain] });
    if (!isSigned) return identity;
    const keyOf = async (home: string) =>
      signingKeyFromSeed(readKeyFile(await readFile(join(home, hostFileNames.serviceKey))).seed);
    const [own, before] = await Promise.all([keyOf(folder), keyOf(join(peer.folder, 'service'))]);
    const { udf, raw } = own.publicKey;
    const key = { UDF: udf, PublicParameters: { tag: 'PublicKeyECDH', value: { crv: 'Ed448', Public: raw } } } as const;
    const body = { Updated: new Date(), KeyOfflineSignature: key };
    const payload = encodeTagged(ProfileService, body, 'json');
    return { ...identity, profileService: signEnvelope({ payload, keys: [own, before] }) };
  }

  it('does not change for a service that the pinned one did not sign; nothing is sent to it', async () => {
    await greet();
    const before = await pins.get(domain);
    peer.identity = await successor(false);
    peer.requests.length = 0;
    expect(await greet()).toBe('pin-mismatch');
    expect(await codeOf(bench.link({ pins }).post(post, within()))).toBe('host-refused');
    expect(await pins.get(domain)).toEqual(before);
  });

  it('changes for one that it did sign, and then for good', async () => {
    await greet();
    const earlier = peer.identity;
    peer.identity = await successor(true);
    expect(await greet()).toMatchObject({ firstUse: false });
    expect(importPublicKey((await pins.get(domain))?.serviceKey as Uint8Array).udf).toBe(peer.identity.serviceUdf);
    peer.identity = earlier;
    expect(await greet()).toBe('pin-mismatch');
  });

  it('is the host\u2019s own key where the service binds no hosts, and then no other', async () => {
    const unbound = { features: ['auth-1'], members: { EnvelopedConnectionHost: undefined } };
    greets(unbound);
    await greet();
    expect((await pins.get(domain))?.hostKey).toEqual(peer.identity.signingKey.publicKey.raw);
    peer.identity = await makeIdentity(join(bench.folder, 'other'), { domains: [domain] });
    expect(await greet()).toBe('pin-mismatch');
  });
});

describe('[S23] the Hello of another service', () => {
  it('that has lost a word is refused, and the pin stays', async () => {
    greets({ features: ['auth-1', 'host-1', 'receipt-1'] });
    await greet();
    const before = await pins.get(domain);
    greets({ features: ['auth-1', 'host-1'] });
    expect(await greet()).toBe('feature-missing');
    expect(await pins.get(domain)).toEqual(before);
  });

  it('[S75] without auth-1 is refused: nothing is posted there', async () => {
    greets({ features: ['host-1'] });
    expect(await greet()).toBe('feature-missing');
    expect(await codeOf(bench.link({ pins }).post(post, within()))).toBe('feature-missing');
    expect(bench.received()).not.toContain('Post');
    expect(await pins.get(domain)).toBeUndefined();
  });

  it('[S75] without auth-1 ends messages for it at once, unless it has proved itself before: then they wait', async () => {
    const host = () => bench.identity;
    const peers = new Peers({ locator: locatorAt(bench.dns), host, pins, ca: peer.ca, clock: () => Date.now() });
    const { plan } = postCarrier({ peers, onReceipt: () => undefined });
    const planned = () => plan(domain, [], 1, Date.now() + 5000);
    try {
      greets({ features: ['host-1'] });
      expect(await planned()).toMatchObject({ kind: 'refused', statusExtended: 26 });
      greets({ features: ['auth-1', 'host-1'] });
      await greet();
      greets({ features: ['host-1'] });
      expect(await planned()).toMatchObject({ kind: 'failed', failure: 'feature-missing' });
      expect(bench.received()).not.toContain('Post');
    } finally {
      peers.stop();
    }
  });

  it('that comes bare pins nothing', async () => {
    const bare = Buffer.from('{"MeshHelloResponse":{"Status":201,"Version":{"Major":3,"Features":["auth-1"]}}}');
    peer.respond = async () => ({ httpStatus: 201, body: bare });
    expect(await greet()).toBe('unsigned-error');
    expect(await pins.get(domain)).toBeUndefined();
  });

  it('[S22] that answers an earlier one is refused', async () => {
    let stale: Promise<Uint8Array> | undefined;
    peer.respond = async (request) => {
      stale ??= helloAnswer(peer.identity, request);
      return { httpStatus: 201, body: await stale };
    };
    expect(await greet()).toMatchObject({ firstUse: true });
    const before = await pins.get(domain);
    expect(await greet()).toBe('response-refused');
    expect(await pins.get(domain)).toEqual(before);
  });
});

describe('[S22] the answer to a Post', () => {
  it('of another service, for another request, or without proof is none', async () => {
    const link = bench.link({ pins });
    expect((await link.post(post, within())).status).toBe(201);
    const honest = peer.identity;
    peer.identity = await makeIdentity(join(bench.folder, 'other'), { domains: [domain] });
    expect(await codeOf(link.post(post, within()))).toBe('host-refused');
    peer.identity = honest;
    const earlier = await peer.honestly(peer.requests.find(({ base }) => base.transaction === 'Post') as never);
    peer.respond = async () => earlier;
    expect(await codeOf(link.post(post, within()))).toBe('response-refused');
    peer.respond = async () => ({ httpStatus: 201, body: Buffer.from('{"PostResponse":{"Status":201}}') });
    expect(await codeOf(link.post(post, within()))).toBe('unsigned-error');
  });
});
