/** The two trees over a container: DARE's own over payload digests, RFC 6962 over leaves with proofs (S44). */
import { type Opened, type PublicKeyHolder, rawOf } from './dare.js';
import { concat, label, lv, sha256, sha512, u32, u64, unb64, utf8, zeros } from './octets.js';

/** Tree digests of all frames by encoding 3.6; the last is the apex. */
export function treeDigests(payloadDigests: readonly Uint8Array[]): Uint8Array[] {
  const tree: Uint8Array[] = [];
  const at = (index: number): Uint8Array => tree[index] ?? zeros(64);
  payloadDigests.forEach((payloadDigest, n) => {
    let [c, m, d] = [payloadDigest, n + 1, 1];
    while (m % 2 === 0) {
      c = sha512(at(n - d), c);
      d *= 2;
      m /= 2;
    }
    tree.push(sha512(at(m === 1 ? Math.floor(d / 2) - 1 : n - d), c));
  });
  return tree;
}

/** DARE apex of frames with these payload digests. */
export const apexOf = (payloadDigests: readonly Uint8Array[]): Uint8Array =>
  treeDigests(payloadDigests).at(-1) ?? zeros(64);

/** Payload digest, recomputed; the stated one only where the payload was left out. */
export function payloadDigestOf(frame: Opened): Uint8Array {
  if (frame.payload !== null) return sha512(frame.payload);
  if (frame.trailer.PayloadDigest === undefined) throw new Error('redacted without PayloadDigest');
  return unb64(frame.trailer.PayloadDigest);
}

/** S40. */
export function coreOf(frame: Opened): Uint8Array {
  const { enc = '', Salt, Malt, recipients = [] } = frame.header;
  const erased = Malt === undefined ? zeros(64) : unb64(Malt);
  const encryption = concat(
    lv(enc),
    Salt === undefined ? erased : sha512(unb64(Salt)),
    u32(recipients.length),
    ...recipients.map(({ kid, epk, wmk }) => concat(lv(kid), lv(rawOf(epk as PublicKeyHolder)), lv(unb64(wmk ?? '')))),
  );
  return sha512(label('mesh-core-1'), payloadDigestOf(frame), sha512(frame.metaOctets), sha512(encryption));
}

/** S44: leaf of a frame. */
export function leafOf(index: number, frame: Opened): Uint8Array {
  const proofs = (frame.trailer.signatures ?? []).filter((e) => e.signature !== undefined || e.Manifest !== undefined);
  const entries = concat(
    u32(proofs.length),
    ...proofs.map((e) => concat(lv(e.alg), lv(e.kid), lv(unb64(e.signature ?? '')), lv(unb64(e.Manifest ?? '')))),
  );
  return sha256(Uint8Array.of(0), label('mesh-leaf-1'), u64(index), coreOf(frame), sha512(entries));
}

/** RFC 6962 root of leaf hashes, straight from its definition. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(utf8(''));
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha256(Uint8Array.of(1), rootOf(leaves.slice(0, split)), rootOf(leaves.slice(split)));
}

/** S44: what names a container for life. */
export const logOf = (subject: string, container: string, leafZero: Uint8Array): Uint8Array =>
  sha256(label('mesh-log-1'), lv(subject), lv(container), leafZero);
