import { concat, label, lv, u64 } from '@meshd/crypto/digest';
import { type PublicKeyEd448, type SigningKey, verify, verifyAsync } from '@meshd/crypto/ed448';
import { DareError } from './errors.js';

/*
 * Manifests (S41): who wrote what where, signed once a batch. Octets, not JSON, so that there is nothing to
 * canonicalise:
 *
 *   body     = 01 || kind || u64 From || u64 Index || Root(32) || u64 Created(ms) || lv(Subject) || lv(Object)
 *   Manifest = body || Ed448("mesh-manifest-1" || body || core)
 */

const version = 1;
const rootSize = 32;
const signatureSize = 114;
const fixedSize = 2 + 8 + 8 + rootSize + 8;
const manifestLabel = label('mesh-manifest-1');

/** What a manifest stands on: a frame of a container, a message to others, or an entry for one's own spool. */
export const manifestKinds = { frame: 1, message: 2, self: 3 } as const;
export type ManifestKind = (typeof manifestKinds)[keyof typeof manifestKinds];

/** `alg` of a signature entry whose only proof is a kind 1 manifest. */
export const manifestAlgorithm = 'S512-MAN1';

/** What the writer states and signs. */
export interface ManifestFields {
  readonly kind: ManifestKind;
  /** First frame vouched for (kind 1), else 0. */
  readonly from: number;
  /** This frame (kind 1), size of the spool as last verified (kind 3), else 0. */
  readonly index: number;
  /** Root of the log over frames 0 .. index - 1, 32 octets; zeros for kind 2. */
  readonly root: Uint8Array;
  readonly createdMs: number;
  /** ProfileAccount UDF (kinds 1, 3) or sender address (kind 2). */
  readonly subject: string;
  /** Container or spool name, or for kind 2 the octets of {@link recipientsObject}. */
  readonly object: string | Uint8Array;
}

/** A manifest as read: its fields, the exact octets under signature, and the signature. */
export interface Manifest extends ManifestFields {
  readonly version: number;
  readonly object: string;
  /** The octets of Object; for kind 2 read them with {@link recipientsOf}. */
  readonly objectOctets: Uint8Array;
  readonly body: Uint8Array;
  readonly signature: Uint8Array;
}

/** Object of a kind 2 manifest: the recipients' addresses, each as lv. */
export function recipientsObject(addresses: readonly string[]): Uint8Array {
  return concat(...addresses.map((address) => lv(address)));
}

/**
 * The recipients named by a kind 2 manifest.
 *
 * @throws DareError `manifest` if Object is no sequence of lv strings.
 */
export function recipientsOf(manifest: Manifest): string[] {
  const reader = new OctetReader(manifest.objectOctets);
  const addresses: string[] = [];
  while (!reader.atEnd()) addresses.push(utf8(reader.sized()));
  return addresses;
}

/** The octets under signature, label and core apart. */
export function manifestBody(fields: ManifestFields): Uint8Array {
  if (fields.root.length !== rootSize) throw new DareError('manifest', 'Root of a manifest has 32 octets');
  return concat(
    Uint8Array.of(version, fields.kind),
    u64(fields.from),
    u64(fields.index),
    fields.root,
    u64(fields.createdMs),
    lv(fields.subject),
    lv(fields.object),
  );
}

/** Writes a manifest that was read: body and signature, unchanged. */
export function encodeManifest(manifest: Pick<Manifest, 'body' | 'signature'>): Uint8Array {
  return concat(manifest.body, manifest.signature);
}

const signedInput = (body: Uint8Array, core: Uint8Array): Uint8Array => concat(manifestLabel, body, core);

/**
 * Makes and signs a manifest.
 *
 * @param core of the frame or message that will carry it (S40).
 * @returns the octets of the entry's member `Manifest`.
 */
export function signManifest(key: SigningKey, fields: ManifestFields, core: Uint8Array): Uint8Array {
  const body = manifestBody(fields);
  return concat(body, key.sign(signedInput(body, core)));
}

/**
 * Reads a manifest; says nothing about its signature.
 *
 * @throws DareError `manifest` for an unknown version or kind, a length that does not fit, or octets left over.
 */
export function decodeManifest(octets: Uint8Array): Manifest {
  const reader = new OctetReader(octets);
  const readVersion = reader.octet();
  if (readVersion !== version) throw new DareError('manifest', `manifest of version ${readVersion}: only 1 is known`);
  const kind = readKind(reader.octet());
  const from = reader.safeInteger();
  const index = reader.safeInteger();
  const root = reader.take(rootSize);
  const createdMs = reader.safeInteger();
  const subject = utf8(reader.sized());
  const objectOctets = reader.sized();
  const body = octets.subarray(0, reader.position);
  const signature = reader.take(signatureSize);
  if (!reader.atEnd()) throw new DareError('manifest', 'octets after the signature of a manifest');
  // Object of kind 2 is a list of strings with binary lengths between them: there is no text to show.
  const object = kind === manifestKinds.message ? '' : utf8(objectOctets);
  return { version, kind, from, index, root, createdMs, subject, object, objectOctets, body, signature };
}

function readKind(octet: number): ManifestKind {
  if (octet === 1 || octet === 2 || octet === 3) return octet;
  throw new DareError('manifest', `manifest of unknown kind ${octet}`);
}

/**
 * Whether the manifest was signed by this key for this core, on the thread pool.
 *
 * @returns false for a bad signature; never throws for one.
 */
export function verifyManifest(key: PublicKeyEd448, manifest: Manifest, core: Uint8Array): Promise<boolean> {
  return verifyAsync(key, signedInput(manifest.body, core), manifest.signature);
}

/** As {@link verifyManifest}, on this thread. */
export function verifyManifestSync(key: PublicKeyEd448, manifest: Manifest, core: Uint8Array): boolean {
  return verify(key, signedInput(manifest.body, core), manifest.signature);
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(octets: Uint8Array): string {
  try {
    return decoder.decode(octets);
  } catch (cause) {
    throw new DareError('manifest', 'text of a manifest is not UTF-8', { cause });
  }
}

/** Reads fixed and length-prefixed pieces; every length is checked against what is left before anything is taken. */
class OctetReader {
  position = 0;
  readonly #octets: Uint8Array;
  readonly #view: DataView;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  }

  atEnd(): boolean {
    return this.position === this.#octets.length;
  }

  take(length: number): Uint8Array {
    if (length > this.#octets.length - this.position) {
      throw new DareError(
        'manifest',
        `manifest ends at octet ${this.#octets.length}, ${fixedSize + signatureSize} and more expected`,
      );
    }
    this.position += length;
    return this.#octets.subarray(this.position - length, this.position);
  }

  octet(): number {
    return this.take(1)[0] ?? 0;
  }

  sized(): Uint8Array {
    const at = this.position;
    this.take(4);
    return this.take(this.#view.getUint32(at));
  }

  safeInteger(): number {
    const at = this.position;
    this.take(8);
    const value = this.#view.getBigUint64(at);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new DareError('manifest', 'integer of a manifest beyond 2^53');
    return Number(value);
  }
}
