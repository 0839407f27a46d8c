import { readFileSync } from 'node:fs';
import { fingerprint64 } from '@meshd/crypto/key-udf';
import { offerMs } from '@meshd/limits/hailing';
import { connectionWitness } from '@meshd/schema/connection-witness';
import { describe, expect, it } from 'vitest';
import { checkOffer, earlSecret, offerAuthenticator, offerDigest, offerPin } from './offer.js';
import { checkPinWitness, isPinUdf, makePin, pinUdf, pinWitness, stretchPin } from './pin.js';
import { clientCommit, isTypedCode, pinnedDigest, requestDigest, shortCodes, transcriptDigest } from './transcript.js';

interface Vector {
  readonly kind: string;
  readonly input: Record<string, string>;
  readonly expected: Record<string, string>;
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/security.json', import.meta.url), 'utf8'),
) as { vectors: Vector[] };

const octets = (text: string | undefined) => new Uint8Array(Buffer.from(text as string, 'base64url'));
const text = (value: Uint8Array) => Buffer.from(value).toString('base64url');
const fingerprint = (raw: string | undefined) => fingerprint64('Ed448', octets(raw));

/** Vectors of one kind; none is a failure. */
function ofKind(kind: string): Vector[] {
  const found = vectors.filter((vector) => vector.kind === kind);
  expect(found).not.toEqual([]);
  return found;
}

function meshOf({ meshKey, profileMeshDigest, profileAccountDigest }: Record<string, string>) {
  return {
    meshFingerprint: fingerprint(meshKey),
    profileMeshDigest: octets(profileMeshDigest),
    profileAccountDigest: octets(profileAccountDigest),
  };
}

describe('[S50] [S53] code mode', () => {
  it('gives what vector connectCode says', () => {
    for (const { input, expected } of ofKind('connectCode')) {
      const request = requestDigest({
        account: input.account as string,
        deviceFingerprint: fingerprint(input.deviceKey),
        profileDeviceDigest: octets(input.profileDeviceDigest),
        clientNonce: octets(input.clientNonce),
        clientKey: octets(input.clientKey),
      });
      const commit = clientCommit(request, octets(input.revealNonce));
      const transcript = transcriptDigest(request, commit, meshOf(input), octets(input.serverNonce));
      expect(text(request)).toBe(expected.requestDigest);
      expect(text(commit)).toBe(expected.clientCommit);
      expect(text(transcript)).toBe(expected.transcript);
      const codes = shortCodes(transcript, octets(input.revealNonce), octets(input.adminNonce));
      expect(codes).toEqual({ code: expected.code, confirm: expected.confirm });
    }
  });

  it('takes a code as people type it, and no other', () => {
    expect(isTypedCode(' zy3g ruyk', 'ZY3G-RUYK')).toBe(true);
    expect(isTypedCode('ZY3G-RUYL', 'ZY3G-RUYK')).toBe(false);
    expect(isTypedCode('', 'ZY3G-RUYK')).toBe(false);
  });
});

describe('[R150] [R306] the witness of devices that commit to nothing', () => {
  it('is that of semantics 7.1', () => {
    const counting = (from: number) => Uint8Array.from({ length: 16 }, (_, at) => from + at);
    const { meshFingerprint, deviceFingerprint } = publishedFingerprints();
    expect(
      connectionWitness({ meshFingerprint, deviceFingerprint, serverNonce: counting(0), clientNonce: counting(16) }),
    ).toBe('RYMN-SP45-LQE4-O4K4-ILQ4-DBP5-P4L7');
  });
});

describe('[S54] PIN mode', () => {
  it('gives what vector connectPin says', async () => {
    for (const { input, expected } of ofKind('connectPin')) {
      const pin = await stretchPin(input.pin as string, input.account as string);
      expect(Buffer.from(pin).toString('hex')).toBe(expected.stretchedHex);
      const pinned = pinnedDigest(octets(input.requestDigest), octets(input.clientCommit));
      expect(pinUdf(pin, pinned)).toBe(expected.PinUDF);
      const witness = pinWitness(pin, pinned, meshOf(input), octets(input.connectionDeviceDigest));
      expect(text(witness)).toBe(expected.PinWitness);
    }
  });

  it('holds for one account, one request and one Mesh alone', async () => {
    const [{ input }] = ofKind('connectPin') as [Vector];
    const typed = input.pin as string;
    const pinned = pinnedDigest(octets(input.requestDigest), octets(input.clientCommit));
    const pin = await stretchPin(typed, 'alice@example.com');
    const claimed = pinUdf(pin, pinned);
    expect(isPinUdf(claimed.toLowerCase(), pin, pinned)).toBe(true);
    expect(isPinUdf(claimed, await stretchPin(typed, 'mallet@example.com'), pinned)).toBe(false);
    expect(isPinUdf(claimed, pin, pinnedDigest(octets(input.clientCommit), octets(input.requestDigest)))).toBe(false);
    const mesh = meshOf(input);
    const digest = octets(input.connectionDeviceDigest);
    const witness = pinWitness(pin, pinned, mesh, digest);
    expect(() => checkPinWitness(witness, pinWitness(pin, pinned, mesh, digest))).not.toThrow();
    const others = [
      { ...mesh, meshFingerprint: fingerprint(input.meshKey).map((octet) => octet ^ 1) },
      { ...mesh, profileMeshDigest: mesh.profileAccountDigest },
      { ...mesh, profileAccountDigest: mesh.profileMeshDigest },
    ];
    for (const other of others) {
      expect(() => checkPinWitness(witness, pinWitness(pin, pinned, other, digest))).toThrow(/does not prove the PIN/);
    }
    expect(() => checkPinWitness(undefined, witness)).toThrow(/does not prove the PIN/);
  });

  it('draws PINs of 80 bits and takes nothing shorter', async () => {
    const pin = makePin((bytes) => new Uint8Array(bytes).fill(7));
    expect(pin).toMatch(/^N[A-Z2-7]{3}(-[A-Z2-7]{2,4}){4}$/);
    const short = ['1234', 'NAAA-AAAA', 'MAAA-AAAA-AAAA-AAAA-AAAA', '', '!'];
    for (const typed of short) await expect(stretchPin(typed, 'alice@example.com')).rejects.toThrow(/not a PIN/);
  });
});

describe('[S56] offers to a device whose code was scanned', () => {
  function offerOf(input: Record<string, string>) {
    return {
      deviceUdf: input.deviceUdf as string,
      account: input.account as string,
      meshFingerprint: fingerprint(input.meshKey),
      offerNonce: octets(input.offerNonce),
      createdMs: Number(input.createdMs),
    };
  }

  it('are what vector earlOffer says', () => {
    for (const { input, expected } of ofKind('earlOffer')) {
      const secret = earlSecret(input.key as string);
      const offer = offerDigest(offerOf(input));
      expect(text(offer)).toBe(expected.offerDigest);
      expect(offerAuthenticator(secret, offer)).toBe(expected.authenticator);
      expect(offerPin(secret, offer)).toBe(expected.derivedPin);
    }
  });

  it('are refused without the key, when they are old, and the second time', () => {
    const [{ input, expected }] = ofKind('earlOffer') as [Vector];
    const parts = offerOf(input);
    const right = {
      secret: earlSecret(input.key as string),
      parts,
      authenticator: expected.authenticator as string,
      usedNonces: new Set<string>(),
      nowMs: parts.createdMs + 1,
    };
    expect(() => checkOffer(right)).not.toThrow();
    const elsewhere = { ...right, parts: { ...parts, account: 'mallet@example.com' } };
    expect(() => checkOffer(elsewhere)).toThrow(/without the code/);
    const guessed = { ...right, secret: earlSecret('EAVA-AQYX-POA7-KWEW-C62B-ZFG2-ZSVB') };
    expect(() => checkOffer({ ...guessed, authenticator: 'AAAA' })).toThrow(/without the code/);
    expect(() => checkOffer({ ...right, nowMs: parts.createdMs + offerMs + 1 })).toThrow(/7 days/);
    expect(() => checkOffer({ ...right, usedNonces: new Set([input.offerNonce as string]) })).toThrow(/before/);
    expect(() => earlSecret('NAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA')).toThrow(/not the code/);
  });
});

/** Fingerprints of the two keys of the draft that the witness of semantics 7.1 was computed with. */
function publishedFingerprints() {
  const { vectors: published } = JSON.parse(
    readFileSync(new URL('../../../../test/vectors/udf.json', import.meta.url), 'utf8'),
  ) as { vectors: Vector[] };
  const of = (udf: string) => {
    const found = published.find(
      ({ kind, expected }) => kind === 'keyFingerprint' && JSON.stringify(expected).includes(udf),
    );
    expect(found, udf).toBeDefined();
    return found as Vector;
  };
  return {
    meshFingerprint: fingerprint64('Ed448', octets(of('MAZM-EQPB').input.public)),
    deviceFingerprint: fingerprint64('Ed448', octets(of('MCGG-6KZX').input.public)),
  };
}
