import { constantTimeEqual } from '@meshd/crypto/digest';
import type { PublicKeyEd448 } from '@meshd/crypto/ed448';
import { coreOfFrame, leafOfFrame } from './core.js';
import { checkPayloadDigest, type DareEnvelope } from './envelope.js';
import { DareError } from './errors.js';
import type { SignatureEntry } from './header.js';
import { appendLeaf, type LogState, root } from './log-tree.js';
import { decodeManifest, type Manifest, manifestAlgorithm, manifestKinds, verifyManifest } from './manifest.js';
import { appendDare, type TreeState } from './merkle.js';

/*
 * The reader's side of manifests (S43): frames are data only where manifests tile them, each root is the reader's own,
 * and the signer was entitled. A reader carries its state from download to download; what it has accepted once is
 * below a root it trusts and is never judged again.
 */

/** How far a reader has got with one container. */
export interface ReaderState {
  readonly tree: TreeState;
  readonly log: LogState;
  /** Frames below this index are covered by manifests; equal to the frame count except while a batch is read. */
  readonly covered: number;
}

/** A state over frames that are trusted as they stand: its own past, or `ActivationAccount.Stores`. */
export function trustedState(tree: TreeState, log: LogState): ReaderState {
  return { tree, log, covered: log.frameCount };
}

/**
 * Who signed, if he may write here: resolves the entry's key among those that the reader's own device catalog entitles
 * and returns undefined for all others. The entry's credentials may help to find it and prove nothing by themselves.
 */
export type Entitled = (
  entry: SignatureEntry,
  manifest: Manifest,
) => PublicKeyEd448 | undefined | Promise<PublicKeyEd448 | undefined>;

/** What container is read, and by whose rules. */
export interface ReplayContext {
  /** Subject that manifests must have: UDF of the `ProfileAccount`. */
  readonly accountUdf: string;
  readonly container: string;
  readonly entitled: Entitled;
  /** Frame 0 is the service's own and has no manifest (`mmm_Archive`). Default false. */
  readonly serviceMadeZero?: boolean;
  /**
   * Number of frames at the beginning over which the reader knows the root: they need no entitled signer, so that keys
   * retired since do no harm (S43). The caller must compare that root, and use none of these frames before. Default 0.
   */
  readonly trustedCount?: number | undefined;
}

/** One frame that the manifests cover. */
export interface AuthenticFrame {
  readonly frameIndex: number;
  readonly envelope: DareEnvelope;
  readonly core: Uint8Array;
  readonly leaf: Uint8Array;
  readonly treeDigest: Uint8Array;
  /** Both trees with this frame. */
  readonly trees: ReaderTrees;
}

/** Result of reading: what is authentic, and the state after it. A tail that no manifest covers is in neither. */
export interface Tiled {
  readonly frames: readonly AuthenticFrame[];
  readonly state: ReaderState;
  /** Frames at the end that no manifest covers yet: not data (S43). */
  readonly uncoveredCount: number;
}

/**
 * Whether a container is legacy (S49): its frame 0 bears no manifest. Never true of containers the service opens itself.
 */
export function isLegacy(frameZero: DareEnvelope): boolean {
  return !frameZero.signatures.some((entry) => entry.Manifest !== undefined);
}

const statedIndex = (envelope: DareEnvelope): number | undefined => envelope.header.ContainerInfo?.Index;

function manifestIndex(envelope: DareEnvelope): number | undefined {
  try {
    return manifestOf(envelope)?.manifest.index;
  } catch {
    return undefined;
  }
}

/** What became of the frames, where one stands in the place of another: for the person who reads the error. */
function misplacement(named: number, frameIndex: number, given: readonly DareEnvelope[]): string {
  if (named < frameIndex) return `frame ${named} was given before`;
  const comesLater = given.some((each) => (manifestIndex(each) ?? statedIndex(each)) === frameIndex);
  return comesLater ? 'the frames are in another order' : `frame ${frameIndex} is missing`;
}

function positioned(
  envelope: DareEnvelope,
  state: Pick<ReaderState, 'tree' | 'log'>,
  given: readonly DareEnvelope[],
): AuthenticFrame {
  const frameIndex = state.log.frameCount;
  const stated = statedIndex(envelope);
  if (stated !== undefined && stated !== frameIndex) {
    const what = misplacement(stated, frameIndex, given);
    throw new DareError('container', `frame ${stated} stands where frame ${frameIndex} belongs: ${what}`);
  }
  const payloadDigest = framePayloadDigest(envelope);
  const core = coreOfFrame(envelope, payloadDigest);
  const leaf = leafOfFrame(frameIndex, core, envelope.signatures);
  const { state: tree, treeDigest } = appendDare(state.tree, payloadDigest);
  return { frameIndex, envelope, core, leaf, treeDigest, trees: { tree, log: appendLeaf(state.log, leaf) } };
}

/** Both trees over the first frames of a container. */
export interface ReaderTrees {
  readonly tree: TreeState;
  readonly log: LogState;
}

/** Of a redacted frame the stated digest has to do: the manifest's root vouches for it. */
function framePayloadDigest(envelope: DareEnvelope): Uint8Array {
  if (envelope.payload !== null) return checkPayloadDigest(envelope);
  if (envelope.payloadDigest === undefined)
    throw new DareError('redacted', 'a redacted frame states its PayloadDigest');
  return envelope.payloadDigest;
}

function manifestOf(envelope: DareEnvelope): { entry: SignatureEntry; manifest: Manifest } | undefined {
  const found = envelope.signatures.filter((entry) => entry.Manifest !== undefined);
  const [entry] = found;
  if (entry?.Manifest === undefined) return undefined;
  if (found.length > 1) throw new DareError('manifest', 'a frame bears more than one manifest');
  return { entry, manifest: decodeManifest(entry.Manifest) };
}

/** All that can be said of a manifest without its signature (S41, S42). `log` is over the frames before it. */
export function checkManifestPlace(
  manifest: Manifest,
  entry: SignatureEntry,
  place: { readonly accountUdf: string; readonly container: string; readonly covered: number; readonly log: LogState },
): void {
  const { log } = place;
  if (manifest.kind !== manifestKinds.frame || entry.alg !== manifestAlgorithm) {
    throw new DareError('manifest', 'a frame needs a manifest of kind 1');
  }
  if (manifest.subject !== place.accountUdf || manifest.object !== place.container) {
    throw new DareError('manifest', 'the manifest was made for another container');
  }
  if (manifest.index !== log.frameCount || manifest.from > manifest.index) {
    throw new DareError('tiling', `the manifest of frame ${log.frameCount} names frame ${manifest.index}`);
  }
  if (manifest.from !== place.covered) {
    throw new DareError('tiling', `the manifest begins at frame ${manifest.from}, uncovered from ${place.covered}`);
  }
  if (!constantTimeEqual(manifest.root, root(log))) {
    throw new DareError('root', `the manifest of frame ${manifest.index} was made on top of other frames`);
  }
}

/**
 * Checks a manifest in its place.
 *
 * @returns undefined where the frame has none; else whether its signature holds, which is still to be awaited: the frames
 *   after it can be digested meanwhile
 */
async function checkManifest(
  frame: AuthenticFrame,
  before: ReaderState,
  context: ReplayContext,
  given: readonly DareEnvelope[],
): Promise<(() => Promise<boolean>) | undefined> {
  const found = manifestOf(frame.envelope);
  if (found === undefined) return undefined;
  const { entry, manifest } = found;
  try {
    checkManifestPlace(manifest, entry, { ...context, covered: before.covered, log: before.log });
  } catch (error) {
    const isElsewhere = error instanceof DareError && error.code === 'tiling' && manifest.index !== frame.frameIndex;
    if (!isElsewhere) throw error;
    const what = misplacement(manifest.index, frame.frameIndex, given);
    throw new DareError('tiling', `${error.message}: ${what}`, { cause: error });
  }
  if (frame.frameIndex < (context.trustedCount ?? 0)) return isTrusted;
  const key = await context.entitled(entry, manifest);
  if (key === undefined)
    throw new DareError('entitlement', `frame ${frame.frameIndex} was signed by someone not entitled`);
  const verifying = verifyManifest(key, manifest, frame.core);
  return () => verifying;
}

const isTrusted = async (): Promise<boolean> => true;

/** @throws DareError `signature` */
async function requireSigned({ frameIndex, verified }: CheckedFrame): Promise<void> {
  if (!(await verified())) throw new DareError('signature', `the manifest of frame ${frameIndex} does not verify`);
}

/** A frame with a manifest whose signature is being verified. */
interface CheckedFrame {
  readonly frameIndex: number;
  readonly verified: () => Promise<boolean>;
}

/** Signatures that are verified at the same time: enough for every core that there may be. */
const verifyingMax = 16;

/**
 * Reads further frames of a container and checks that manifests tile them (S43). Whether `Event`, `First`, `Previous`
 * and `UniqueID` fit is `CatalogReplay`'s business, afterwards.
 *
 * @param envelopes the frames that follow the state, in order.
 * @returns the covered frames; what no manifest covers yet is left out of frames and state.
 * @throws DareError by what is wrong: `payload-digest`, `container`, `manifest`, `tiling`, `root`, `entitlement`,
 * `signature`. Nothing of the batch may be used then.
 */
export async function tileManifests(
  envelopes: readonly DareEnvelope[],
  state: ReaderState,
  context: ReplayContext,
): Promise<Tiled> {
  const accepted: AuthenticFrame[] = [];
  let pending: AuthenticFrame[] = [];
  let settled = state;
  let running = state;
  const verifying: CheckedFrame[] = [];
  for (const envelope of envelopes) {
    const frame = positioned(envelope, running, envelopes);
    const { frameIndex } = frame;
    const isOwn = frameIndex === 0 && context.serviceMadeZero === true;
    const verified = isOwn ? isTrusted : await checkManifest(frame, running, context, envelopes);
    if (frameIndex === 0 && verified === undefined) {
      throw new DareError('manifest', 'frame 0 has no manifest: the container is legacy');
    }
    pending.push(frame);
    const { tree, log } = frame.trees;
    running = { tree, log, covered: verified === undefined ? running.covered : log.frameCount };
    if (verified !== undefined) {
      verifying.push({ frameIndex, verified });
      if (verifying.length >= verifyingMax) await requireSigned(verifying.shift() as CheckedFrame);
      accepted.push(...pending);
      pending = [];
      settled = running;
    }
  }
  for (const frame of verifying) await requireSigned(frame);
  return { frames: accepted, state: settled, uncoveredCount: pending.length };
}
