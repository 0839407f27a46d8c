/** A container as its writer holds it: makes frames, batches and manifests (encoding 3.8, 3.9; S42). */
import { dateTime, type Header, type Meta, metaMember, open, type Trailer, type Wire } from './dare.js';
import { type Key, nonceUdf } from './keys.js';
import { type ManifestFields, signManifest } from './manifest.js';
import { b64, sha512, zeros } from './octets.js';
import { apexOf, coreOf, leafOf, payloadDigestOf, rootOf, treeDigests } from './trees.js';

/** What one frame shall hold. */
export interface Entry {
  readonly payload: Uint8Array;
  readonly meta: Meta;
  readonly header?: Header;
}

export interface BatchChoices {
  /** Changes the manifest's fields before it is signed. */
  readonly manifest?: Partial<ManifestFields>;
  /** Leaves the manifest away. */
  readonly bare?: boolean;
  /** Octets behind the manifest. */
  readonly after?: Uint8Array;
  /** Works on a frame before cores and manifest are computed. */
  readonly change?: (frame: Wire, index: number) => Wire;
  readonly kid?: string;
}

/** Replica of a container on the writing side. */
export class Container {
  readonly name: string;
  readonly subject: string;
  readonly frames: Wire[] = [];

  constructor(name: string, subject: string, frames: readonly Wire[] = []) {
    this.name = name;
    this.subject = subject;
    this.frames.push(...frames);
  }

  get payloadDigests(): Uint8Array[] {
    return this.frames.map((frame) => payloadDigestOf(open(frame)));
  }

  get leaves(): Uint8Array[] {
    return this.frames.map((frame, index) => leafOf(index, open(frame)));
  }

  /** DARE apex, as the service states it in `Digest`. */
  get apex(): Uint8Array {
    return apexOf(this.payloadDigests);
  }

  /** Frame 0 with a manifest of its own. */
  opening(signer: Key, cty = 'application/mmm-catalog', choices: BatchChoices = {}): Wire {
    const meta = { UniqueID: nonceUdf(), cty, Created: dateTime(Date.now()) };
    const first: Header = {
      dig: 'S512',
      ContentMetaData: metaMember(meta),
      ContainerInfo: { DataEncoding: 'JSON', Index: 0, ContainerType: 'Merkle' },
    };
    const digest = sha512(zeros(0));
    const trailer = { PayloadDigest: b64(digest), TreeDigest: b64(apexOf([digest])) };
    const frame = choices.change?.([first, '', trailer], 0) ?? [first, '', trailer];
    return choices.bare ? frame : this.#withManifest(frame, signer, { from: 0, index: 0, root: rootOf([]) }, choices);
  }

  /** Frames for these entries, the last with the manifest; `before` are frames of the same request. */
  batch(entries: readonly Entry[], signer: Key, choices: BatchChoices = {}, before: readonly Wire[] = []): Wire[] {
    const earlier = [...this.frames, ...before];
    const from = earlier.length;
    const digests = earlier.map((frame) => payloadDigestOf(open(frame)));
    const trees = treeDigests([...digests, ...entries.map(({ payload }) => sha512(payload))]);
    const made = entries.map(({ payload, meta, header }, i): Wire => {
      const index = from + i;
      const frame: Wire = [
        { dig: 'S512', ...header, ContentMetaData: metaMember(meta), ContainerInfo: { Index: index } },
        b64(payload),
        { PayloadDigest: b64(sha512(payload)), TreeDigest: b64(trees[index] as Uint8Array) },
      ];
      return choices.change?.(frame, index) ?? frame;
    });
    const last = made.pop();
    if (last === undefined || choices.bare) return last === undefined ? [] : [...made, last];
    const covered = [...earlier, ...made];
    const root = rootOf(covered.map((frame, index) => leafOf(index, open(frame))));
    return [...made, this.#withManifest(last, signer, { from, index: covered.length, root }, choices)];
  }

  #withManifest(
    frame: Wire,
    signer: Key,
    place: Pick<ManifestFields, 'from' | 'index' | 'root'>,
    choices: BatchChoices,
  ): Wire {
    const fields = { ...place, createdMs: Date.now(), subject: this.subject, object: this.name, ...choices.manifest };
    const manifest = signManifest(signer, fields, coreOf(open(frame)));
    const octets = choices.after === undefined ? manifest : Buffer.concat([manifest, choices.after]);
    const [header, payload, trailer] = frame as [Header, string, Trailer];
    const proof = { alg: 'S512-MAN1', kid: choices.kid ?? signer.udf, Manifest: b64(octets) };
    return [header, payload, { ...trailer, signatures: [...(trailer.signatures ?? []), proof] }];
  }
}
