/** Reading, opening and verifying envelopes of 2 KiB on one thread, beside bare `crypto.verify` on the same digests. */
import { createPublicKey, hash, randomBytes, verify } from 'node:crypto';
import { generateSeed, signingKeyFromSeed } from '@meshd/crypto/ed448';
import { readOpened, writeEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { verifyEnvelopeSync } from '@meshd/dare/verify';
import { byTurns, type Figure } from './harness.ts';

const envelopeCount = 2000;
const payloadBytes = 2048;
const sliceItems = 50;
const spkiPrefix = Buffer.from('3043300506032b6571033a00', 'hex');

export const verifyEnvelopes: Figure = {
  name: 'verify-envelopes',
  unit: 'envelopesPerSecond',
  target: 0.85,
  direction: 'at least',
  limitIs: 'crypto.verify on the same digests',
  rounds: 7,
  prepare() {
    const key = signingKeyFromSeed(generateSeed());
    const envelopes = Array.from({ length: envelopeCount }, () =>
      writeEnvelope(signEnvelope({ payload: randomBytes(payloadBytes), keys: [key], contentType: 'application/mmm' })),
    );
    const native = createPublicKey({
      key: Buffer.concat([spkiPrefix, key.publicKey.raw]),
      format: 'der',
      type: 'spki',
    });
    const signed = envelopes.map((octets) => {
      const { payload, signatures } = readOpened(octets);
      return {
        digest: hash('sha512', payload as Uint8Array, 'buffer'),
        signature: signatures[0]?.signature as Uint8Array,
      };
    });
    const findKey = (kid: string) => (kid === key.publicKey.udf ? key.publicKey : undefined);
    return byTurns(
      envelopeCount,
      sliceItems,
      (from, to) => {
        for (const octets of envelopes.slice(from, to)) verifyEnvelopeSync(readOpened(octets), findKey);
      },
      (from, to) => {
        for (const { digest, signature } of signed.slice(from, to)) {
          if (!verify(null, digest, native, signature)) throw new Error('a signature of ours does not verify');
        }
      },
    );
  },
};
