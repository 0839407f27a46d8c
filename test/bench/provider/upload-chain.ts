/**
 * Signed requests of one account, made before they are sent: each upload continues the one before it, as a device's
 * uploads do. No answer is needed to make the next, because the device knows what its own frames do to the container.
 */
import { randomBytes } from 'node:crypto';
import { type SignRequestOptions, signRequest } from '@meshd/binding/request-sign';
import { clientFeatures, type Session } from '@meshd/client/session';
import { encryptBody } from '@meshd/client/writer';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type ContainerTrees, type FrameDraft, frameZero, sealBatch } from '@meshd/dare/batch';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import type { Header } from '@meshd/dare/header';
import { emptyLog } from '@meshd/dare/log-tree';
import { apex, emptyDareTree } from '@meshd/dare/merkle';
import { downloadEntriesMax, downloadPayloadBytesMax } from '@meshd/limits/limits';
import { catalogContentType, itemContentType } from '@meshd/schema/container-name';
import type { RequestOf } from '@meshd/schema/protocol';

/** Octets of the parts of a stored frame. */
export interface FrameSizes {
  readonly headerBytes: number;
  readonly payloadBytes: number;
  readonly trailerBytes: number;
  readonly uniqueIdBytes: number;
}

/** One container of one account, and what its device knows of it. */
export class UploadChain {
  readonly container: string;
  readonly #session: Session;
  readonly #domain: string;
  /** Members of an encrypted frame's header; made once, since bodies here are random octets that nobody decrypts. */
  readonly #header: Header;
  /** How requests are proved and encoded; signed, in JSON, when empty. */
  proof: Pick<SignRequestOptions<'Upload'>, 'ticket' | 'form'> = {};
  #trees: ContainerTrees = { tree: emptyDareTree, log: emptyLog };
  #sample: FrameSizes | undefined;

  constructor(session: Session, domain: string, container: string) {
    this.#session = session;
    this.#domain = domain;
    this.container = container;
    this.#header = encryptBody(session, randomBytes(1)).header;
  }

  /** Frames sent or to be sent, frame 0 included. */
  get frameCount(): number {
    return this.#trees.log.frameCount;
  }

  /** Sizes of the last frame made, which bears a manifest. */
  get sample(): FrameSizes {
    if (this.#sample === undefined) throw new Error('no frame was made yet');
    return this.#sample;
  }

  /** The upload that opens the container: frame 0 and one entry. */
  open(): Promise<Uint8Array> {
    const createdMs = Date.now();
    const zero = frameZero({ contentType: catalogContentType, uniqueId: nonceUdf(systemRandom), createdMs });
    return this.#request([zero, this.#draft(1)]);
  }

  /** The next upload, of so many new entries with random bodies under one manifest. */
  next(frameCount: number, payloadBytes: number): Promise<Uint8Array> {
    return this.#request(Array.from({ length: frameCount }, () => this.#draft(payloadBytes)));
  }

  /** A request for what came after the opening upload. */
  download(): Promise<Uint8Array> {
    return this.#sign('Download', {
      Select: [{ Container: this.container, IndexMin: 2 }],
      ConstraintsPost: { MaxEntries: downloadEntriesMax, BytesMax: downloadPayloadBytesMax },
    });
  }

  #draft(payloadBytes: number): FrameDraft {
    return {
      contentMeta: {
        UniqueID: nonceUdf(systemRandom),
        cty: itemContentType,
        Event: 'New',
        Created: new Date(),
      },
      header: this.#header,
      payload: randomBytes(payloadBytes),
    };
  }

  #request(drafts: readonly FrameDraft[]): Promise<Uint8Array> {
    const { keys, identity } = this.#session;
    const before = this.#trees;
    const sealed = sealBatch(drafts, {
      ...before,
      signer: keys.key('connectionSignature'),
      accountUdf: identity.accountUdf,
      container: this.container,
      createdMs: Date.now(),
    });
    this.#trees = { tree: sealed.tree, log: sealed.log };
    this.#sample = sizesOf(sealed.envelopes.at(-1) as EnvelopeOctets, drafts.at(-1) as FrameDraft);
    const digest = apex(before.tree);
    return this.#sign('Upload', {
      Updates: [
        {
          Container: this.container,
          Index: before.log.frameCount,
          ...(digest === undefined ? {} : { Digest: digest }),
          Envelopes: [...sealed.envelopes],
        },
      ],
    });
  }

  async #sign<T extends 'Upload' | 'Download'>(transaction: T, message: RequestOf<T>): Promise<Uint8Array> {
    const { state, deviceSigner } = this.#session;
    const { body } = await signRequest<T>({
      transaction,
      message: {
        Features: this.proof.ticket === undefined ? [...clientFeatures] : [],
        ...message,
        Account: state.address,
      } as RequestOf<T>,
      service: this.#domain,
      nowMs: Date.now(),
      random: systemRandom,
      signers: [deviceSigner],
      ...this.proof,
    });
    return body;
  }
}

function sizesOf({ header, payload, trailer }: EnvelopeOctets, draft: FrameDraft): FrameSizes {
  return {
    headerBytes: header.length,
    payloadBytes: payload?.length ?? 0,
    trailerBytes: trailer?.length ?? 0,
    uniqueIdBytes: draft.contentMeta.UniqueID?.length ?? 0,
  };
}
