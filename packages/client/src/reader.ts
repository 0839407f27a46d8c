import { constantTimeEqual } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { logId } from '@meshd/dare/core';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { DareError } from '@meshd/dare/errors';
import { root } from '@meshd/dare/log-tree';
import { apex } from '@meshd/dare/merkle';
import { isLegacy, tileManifests } from '@meshd/dare/replay';
import { uploadEntriesMax } from '@meshd/limits/limits';
import { deviceCatalog } from '@meshd/schema/container-name';
import { hasServiceMadeZero, isServiceSpool, replayRules } from './container-rules.js';
import { ClientError } from './errors.js';
import { appendFrame, type Frame, noTrees, requirePlace, type Trees } from './frame.js';
import { Replay } from './replay.js';

/** A state of a container that this device has verified once, and behind which it never goes back (S47). */
export interface TrustedHead {
  /** Names the container for life (S44). */
  readonly log: Uint8Array;
  /** Number of frames. */
  readonly size: number;
  /** RFC 6962 root over them. */
  readonly root: Uint8Array;
  /** Seen by the administrator who connected this device, and not by the device itself yet. */
  readonly seenBy?: 'administrator' | undefined;
}

/** What becomes part of the state: a frame, its place and its leaf. */
type AcceptedFrame = Pick<Frame, 'frameIndex' | 'envelope' | 'leaf'> & { readonly trees: Trees };

/** The key of `kid` if its owner may write to the container at this index, else undefined. */
export type FindWriter = (kid: string, container: string, frameIndex: number) => PublicKeyEd448 | undefined;

/** A size and root that the frames must lead through: signed heads (S45), revocation cuts (S48). */
export interface Checkpoint {
  readonly size: number;
  readonly root: Uint8Array;
}

/** What a reader needs to know of a container. */
export interface ReaderOptions {
  readonly container: string;
  readonly accountUdf: string;
  /** What was verified before: the frames must lead through it. */
  readonly trusted?: TrustedHead | undefined;
  /** What the administrator saw who connected this device: the frames must lead through that too. */
  readonly floor?: TrustedHead | undefined;
  /** Take a container without manifests, in unauthenticated order (S49). */
  readonly allowLegacy?: boolean | undefined;
}

/**
 * Reads a container from frame 0 on and believes nothing it has not checked (S43): digests, position, event rules, and
 * that manifests of entitled signers tile all frames with roots that agree with the reader's own tree. Frames after the
 * last manifest are kept aside and are no part of the state until one covers them.
 */
export class ContainerReader {
  readonly container: string;
  readonly #options: ReaderOptions;
  #trees: Trees = noTrees;
  #logId: Uint8Array | undefined;
  #replay: Replay | undefined;
  #legacy = false;
  #uncovered: EnvelopeOctets[] = [];
  #checkpoints: readonly Checkpoint[] = [];

  constructor(options: ReaderOptions) {
    this.container = options.container;
    this.#options = options;
  }

  /** Number of authentic frames. */
  get size(): number {
    return this.#trees.log.frameCount;
  }

  /** Index of the next frame to be given to {@link take}. */
  get nextIndex(): number {
    return this.size + this.#uncovered.length;
  }

  /** Both trees over the authentic frames. */
  get trees(): Trees {
    return this.#trees;
  }

  /** The container has no manifests: its order is only what the service says (S49). */
  get isLegacy(): boolean {
    return this.#legacy;
  }

  /** What `ContainerStatus.Digest` must be for the authentic frames; undefined without frames. */
  get apex(): Uint8Array | undefined {
    return apex(this.#trees.tree);
  }

  /** RFC 6962 root of the authentic frames. */
  get root(): Uint8Array {
    return root(this.#trees.log);
  }

  /** Which keys are present; undefined before frame 0. */
  get replay(): Replay | undefined {
    return this.#replay;
  }

  /** The state to remember before anything of it is shown (S47); undefined without frames. */
  get head(): TrustedHead | undefined {
    return this.#logId === undefined ? undefined : { log: this.#logId, size: this.size, root: this.root };
  }

  /**
   * Takes a frame that this device stored itself after {@link take} had accepted it.
   * @throws ClientError `frame` or `fork` if it is not the one that was stored
   */
  restore(octets: EnvelopeOctets): Frame {
    if (this.size === 0) this.#legacy = this.#hasNoManifests(octets);
    const { frame, trees } = appendFrame(this.#trees, octets);
    this.#accept([{ ...frame, trees }]);
    return frame;
  }

  /**
   * Takes the next frames as the service gave them.
   * @param checkpoints what the frames must agree with besides the reader's own past
   * @returns the envelopes that are authentic now: those up to the last manifest, earlier uncovered ones included
   * @throws ClientError `frame`, `fork` or `legacy`; the reader must not be used afterwards
   */
  async take(
    envelopes: readonly EnvelopeOctets[],
    findWriter: FindWriter,
    checkpoints: readonly Checkpoint[] = [],
  ): Promise<readonly EnvelopeOctets[]> {
    this.#checkpoints = checkpoints;
    const candidates = [...this.#uncovered, ...envelopes];
    const [first] = candidates;
    if (first === undefined) return [];
    if (this.size === 0) this.#admit(first);
    const accepted =
      this.#legacy || isServiceSpool(this.container)
        ? this.#inServiceOrder(candidates)
        : await this.#underManifests(candidates, findWriter);
    this.#uncovered = candidates.slice(accepted.length);
    // No batch is larger; a service that goes on without a manifest would only fill our memory.
    if (this.#uncovered.length >= uploadEntriesMax) {
      throw new ClientError(
        'frame',
        `${this.container} at the service has more frames without a manifest than a batch holds`,
      );
    }
    return candidates.slice(0, accepted.length);
  }

  #hasNoManifests(frameZero: EnvelopeOctets): boolean {
    return !hasServiceMadeZero(this.container) && isLegacy(openEnvelope(frameZero));
  }

  #admit(frameZero: EnvelopeOctets): void {
    this.#legacy = this.#hasNoManifests(frameZero);
    if (!this.#legacy) return;
    // The device catalog says who may write all others: in an order that nothing proves, revoked devices come back.
    // A container that an administrator named has manifests, whatever the service shows in its place.
    const mayBeAllowed = this.container !== deviceCatalog && this.#options.floor === undefined;
    if (mayBeAllowed && this.#options.allowLegacy) return;
    const advice = mayBeAllowed ? '; give --legacy to read it all the same' : '';
    throw new ClientError(
      'legacy',
      `${this.container} has no manifest in frame 0, so nothing proves its order${advice}`,
    );
  }

  #inServiceOrder(candidates: readonly EnvelopeOctets[]): readonly AcceptedFrame[] {
    const frames: AcceptedFrame[] = [];
    let trees = this.#trees;
    for (const octets of candidates) {
      const next = appendFrame(trees, octets);
      frames.push({ ...next.frame, trees: next.trees });
      trees = next.trees;
    }
    this.#accept(frames);
    return frames;
  }

  async #underManifests(
    candidates: readonly EnvelopeOctets[],
    findWriter: FindWriter,
  ): Promise<readonly AcceptedFrame[]> {
    const { accountUdf } = this.#options;
    try {
      const { frames } = await tileManifests(
        candidates.map((octets) => openEnvelope(octets)),
        { ...this.#trees, covered: this.size },
        {
          accountUdf,
          container: this.container,
          entitled: (entry, manifest) => findWriter(entry.kid ?? '', this.container, manifest.index),
          trustedCount: Math.max(0, ...this.#known.map(({ size }) => size)),
          serviceMadeZero: hasServiceMadeZero(this.container),
        },
      );
      for (const { envelope, frameIndex } of frames) requirePlace(envelope, frameIndex);
      this.#accept(frames);
      return frames;
    } catch (cause) {
      if (cause instanceof ClientError || !(cause instanceof DareError || cause instanceof Error)) throw cause;
      throw new ClientError('frame', `${this.container} at the service is not authentic: ${cause.message}`, { cause });
    }
  }

  /** Makes frames part of the state: trees, log identity, replay; every one against what was trusted before. */
  #accept(frames: readonly AcceptedFrame[]): void {
    for (const { frameIndex, envelope, leaf, trees } of frames) {
      const meta = envelope.contentMetaData ?? {};
      if (frameIndex === 0) {
        this.#logId = logId(this.#options.accountUdf, this.container, leaf);
        this.#replay = new Replay(replayRules(this.container, meta.cty));
      } else {
        this.#replay?.apply(frameIndex, meta);
      }
      this.#trees = trees;
      this.#checkTrusted();
    }
  }

  /** What the frames must lead through, whoever saw it. */
  get #known(): readonly TrustedHead[] {
    const { trusted, floor } = this.#options;
    return [trusted, floor].flatMap((head) => head ?? []);
  }

  #checkTrusted(): void {
    const log = this.#logId;
    const otherLog = this.#known.find((head) => log !== undefined && !constantTimeEqual(log, head.log));
    const isOther = ({ size, root: at }: Checkpoint) => size === this.size && !constantTimeEqual(this.root, at);
    const verified = otherLog ?? [...this.#known, ...this.#checkpoints].find(isOther);
    if (verified === undefined) return;
    const shown = { log, size: this.size, root: this.root };
    throw new ClientError('fork', forkMessage(this.container, verified), {
      contradiction: { container: this.container, verified, shown },
    });
  }
}

/** What the user is told when a service contradicts what this device has verified, or what it was told to expect. */
export function forkMessage(container: string, known: Pick<TrustedHead, 'seenBy'> | object = {}): string {
  const by = 'seenBy' in known && known.seenBy !== undefined ? 'the administrator of this device' : 'this device';
  return `${container} at the service is not the one that ${by} has verified: stop using this service and keep this home as evidence`;
}
