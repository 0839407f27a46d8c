/** Containers for tests: the frames of the vectors as envelopes, and small ones of our own. */
import { type PublicKeyEd448, signingKeyFromSeed } from '@meshd/crypto/ed448';
import type { BatchContext, FrameDraft } from './batch.js';
import { type DareEnvelope, makeEnvelope, openEnvelope } from './envelope.js';
import { emptyLog } from './log-tree.js';
import { emptyDareTree } from './merkle.js';
import { type ReaderState, trustedState } from './replay.js';
import { b64, utf8 } from './vectors.fixture.js';

/** A frame as the vectors describe it. */
export interface VectorFrame {
  readonly index: number;
  readonly contentMetaDataUtf8: string;
  readonly enc: string;
  readonly salt: string;
  readonly recipients: readonly { kid: string; epk: string; wmk: string }[];
  readonly payload: string;
  readonly signatures: readonly { alg: string; kid: string; Manifest: string }[];
}

/** The frame as an opened envelope. */
export function envelopeOfVector(frame: VectorFrame): DareEnvelope {
  return openEnvelope(
    makeEnvelope({
      header: {
        ...(frame.enc === '' ? {} : { enc: frame.enc, Salt: b64(frame.salt) }),
        recipients: frame.recipients.map(({ kid, epk, wmk }) => ({
          kid,
          epk: { PublicKeyECDH: { crv: 'Ed448', Public: b64(epk) } },
          wmk: b64(wmk),
        })),
        ContentMetaData: utf8(frame.contentMetaDataUtf8),
        ContainerInfo: { Index: frame.index },
      },
      payload: b64(frame.payload),
      trailer: { signatures: frame.signatures.map((entry) => ({ ...entry, Manifest: b64(entry.Manifest) })) },
    }),
  );
}

/** A signer of our own. */
export const writer = signingKeyFromSeed(Buffer.alloc(57, 21));

/** Where the tests write. */
export const place = { accountUdf: 'MDIR-PWP6-WKT7-BY44-23KZ-C7DI-YNZE', container: 'mmm_Credential' };

/** A batch context at the beginning of a container. */
export const opening: BatchContext = {
  ...place,
  signer: writer,
  createdMs: 1_800_000_000_000,
  tree: emptyDareTree,
  log: emptyLog,
};

/** A reader that knows nothing yet. */
export const nothingRead: ReaderState = trustedState(emptyDareTree, emptyLog);

/** Entitles one key and nobody else. */
export const only =
  (key: PublicKeyEd448) =>
  (entry: { kid?: string | undefined }): PublicKeyEd448 | undefined =>
    entry.kid === key.udf ? key : undefined;

/** A new item with a body. */
export function newItem(key: string, body: string): FrameDraft {
  return { contentMeta: { UniqueID: key, Event: 'New' }, payload: utf8(body) };
}
