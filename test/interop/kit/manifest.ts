/** Manifests of containers: kind 1 of S41. */
import type { Key } from './keys.js';
import { verify } from './keys.js';
import { concat, label, lv, text, u64 } from './octets.js';

export interface ManifestFields {
  readonly from: number;
  readonly index: number;
  readonly root: Uint8Array;
  readonly createdMs: number;
  readonly subject: string;
  readonly object: string;
  readonly version?: number;
  readonly kind?: number;
}

export function manifestBody(fields: ManifestFields): Uint8Array {
  const { version = 1, kind = 1, from, index, root, createdMs, subject, object } = fields;
  const head = Uint8Array.of(version, kind);
  return concat(head, u64(from), u64(index), root, u64(createdMs), lv(subject), lv(object));
}

const inputOf = (body: Uint8Array, core: Uint8Array): Uint8Array => concat(label('mesh-manifest-1'), body, core);

export function signManifest(key: Key, fields: ManifestFields, core: Uint8Array): Uint8Array {
  const body = manifestBody(fields);
  return concat(body, key.sign(inputOf(body, core)));
}

/** Reads and verifies; undefined when the form or the signature is wrong. */
export function readManifest(octets: Uint8Array, raw: Uint8Array, core: Uint8Array): ManifestFields | undefined {
  const body = octets.subarray(0, -114);
  if (!verify(raw, inputOf(body, core), octets.subarray(-114))) return undefined;
  const view = Buffer.from(body);
  const subjectEnd = 62 + view.readUInt32BE(58);
  const fields = {
    version: view.readUInt8(0),
    kind: view.readUInt8(1),
    from: Number(view.readBigUInt64BE(2)),
    index: Number(view.readBigUInt64BE(10)),
    root: body.subarray(18, 50),
    createdMs: Number(view.readBigUInt64BE(50)),
    subject: text(body.subarray(62, subjectEnd)),
    object: text(body.subarray(subjectEnd + 4)),
  };
  return Buffer.compare(manifestBody(fields), body) === 0 ? fields : undefined;
}
