import { concat, sha512 } from '@meshd/crypto/digest';
import type { SigningKey } from '@meshd/crypto/ed448';
import { systemRandom } from '@meshd/crypto/random';
import { nonceUdf } from '@meshd/crypto/udf';
import { type ContainerTrees, frameZero, sealBatch } from '@meshd/dare/batch';
import { type CoreParts, type CoreRecipient, coreOf, leafOfFrame, logId } from '@meshd/dare/core';
import type { EncryptedContent } from '@meshd/dare/encrypt';
import { Header, type SignatureEntry, Trailer } from '@meshd/dare/header';
import { appendLeafKeeping } from '@meshd/dare/log-proof';
import { emptyLog, encodeEdge, root } from '@meshd/dare/log-tree';
import { manifestAlgorithm, manifestKinds, signManifest } from '@meshd/dare/manifest';
import { apex, appendDare, emptyDareTree, encodeTree } from '@meshd/dare/merkle';
import { encodeBase64Url } from '@meshd/encoding/base64url';
import { encodeObject } from '@meshd/encoding/codec';
import pg from 'pg';
import { keyDigest } from '../storage/sql/catalog-key.js';
import { takeNumberBlock } from '../storage/sql/lease.js';
import { copyRow, copyRows } from './copy-rows.js';

/*
 * Long containers for tests and measurements, written behind the shard's back but as it would have written them: frames that
 * verify, both trees, the nodes for proofs, keys. A million frames take a minute or so.
 */

/** Which container to make. */
export interface BulkLoad {
  /** The shard's database. */
  readonly url: string;
  /** Of an account that exists and that no running shard has in memory: start the shard after this. */
  readonly address: string;
  readonly container: string;
  /** Frame 0 included. */
  readonly frameCount: number;
  /** Signs the manifests: a key that may write the container. */
  readonly signer: SigningKey;
  readonly payloadBytes?: number;
  /** Frames of one manifest. */
  readonly batchFrames?: number;
  /** Time at which the first frame was stored; each later one a millisecond after. */
  readonly storedAtMs?: number;
  readonly kind?: 'catalog' | 'spool';
  /** What every entry holds, in place of bare octets: an encrypted body with its header. The octets differ, and open no more. */
  readonly content?: Pick<EncryptedContent, 'header' | 'payload'>;
}

/** The container as its writer knows it, to go on from there. */
export interface BulkLoaded extends ContainerTrees {
  readonly containerId: number;
  readonly logId: Uint8Array;
}

const frameTarget =
  'frame (container_id, frame_index, stored_at_ms, unique_id, event, header, payload, trailer, payload_digest, tree_digest, leaf, nodes)';
const keyTarget = 'catalog_key (container_id, key_digest, latest_index, first_index, deleted)';
/** Rows of one COPY: a statement's rows are checked together. */
const copyRowsMax = 20_000;

/** Key of the entry at an index of such a container. */
export function bulkKey(frameIndex: number): string {
  return `entry-${frameIndex}`;
}

/** Makes a container of the account in its database; raises its quota so that there is room for more. */
export async function bulkLoad(options: BulkLoad): Promise<BulkLoaded> {
  const client = new pg.Client({ connectionString: options.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    const loaded = await load(client, options);
    await client.query('COMMIT');
    return loaded;
  } finally {
    await client.end();
  }
}

async function load(client: pg.Client, options: BulkLoad): Promise<BulkLoaded> {
  const { address, container, frameCount, kind = 'catalog', storedAtMs = 1_767_225_600_000 } = options;
  const found = await client.query<{ id: string; account_udf: string }>(
    `UPDATE account SET quota_frames = quota_frames + $2, quota_bytes = quota_bytes + $3
     WHERE address = $1 AND deleted_at_ms IS NULL RETURNING id, account_udf`,
    [address, frameCount, frameCount * (2048 + (options.payloadBytes ?? 64))],
  );
  const account = found.rows[0];
  if (account === undefined) throw new Error(`no account ${address}`);
  const accountUdf = account.account_udf;
  const containerId = Number((await client.query<{ nextval: string }>(takeNumberBlock.text)).rows[0]?.nextval);
  const maker = new FrameMaker({ ...options, accountUdf, containerId, kind, storedAtMs });
  const zero = maker.next();
  const log = logId(accountUdf, container, maker.leafZero);
  // Frames are refused beyond the count, so the head comes first, and its trees when they are known.
  await client.query(
    `INSERT INTO container (id, account_id, name, kind, frame_count, dare_tree, log_tree, log_id, manifest_from, legacy,
       bytes_used) VALUES ($1, $2, $3, $4, $5, '', '', $6, $5, false, 0)`,
    [containerId, account.id, container, kind, frameCount, Buffer.from(log)],
  );
  const keyRow = () =>
    copyRow([containerId, keyDigest(bulkKey(maker.frameCount)), maker.frameCount, maker.frameCount, false]);
  let rows = [zero];
  let keys: Buffer[] = [];
  for (;;) {
    while (rows.length < copyRowsMax && maker.frameCount < frameCount) {
      keys.push(keyRow());
      rows.push(maker.next());
    }
    await copyRows(client, frameTarget, rows);
    await copyRows(client, keyTarget, keys);
    if (maker.frameCount >= frameCount) break;
    [rows, keys] = [[], []];
  }
  const { trees, bytes } = maker;
  await client.query('UPDATE container SET dare_tree = $2, log_tree = $3, bytes_used = $4 WHERE id = $1', [
    ...[containerId, Buffer.from(encodeTree(trees.tree)), Buffer.from(encodeEdge(trees.log)), bytes],
  ]);
  return { ...trees, containerId, logId: log };
}

interface FrameMakerOptions extends BulkLoad {
  readonly accountUdf: string;
  readonly containerId: number;
  readonly kind: 'catalog' | 'spool';
  readonly storedAtMs: number;
}

/** Makes the rows of frames one after the other. */
class FrameMaker {
  trees: ContainerTrees = { tree: emptyDareTree, log: emptyLog };
  bytes = 0;
  leafZero = new Uint8Array(0);
  readonly #options: FrameMakerOptions;
  readonly #payload: Buffer;
  readonly #encryption: Pick<CoreParts, 'enc' | 'salt' | 'recipients'>;
  /** Members of the header that are the same in every entry. */
  readonly #headerMembers: string;

  constructor(options: FrameMakerOptions) {
    this.#options = options;
    this.#payload = Buffer.from(options.content?.payload ?? systemRandom(options.payloadBytes ?? 64));
    const { enc = '', Salt: salt, recipients = [] } = options.content?.header ?? {};
    this.#encryption = { enc, salt, recipients: recipients.map(coreRecipient) };
    this.#headerMembers = headerText(options.content?.header ?? {});
  }

  get frameCount(): number {
    return this.trees.log.frameCount;
  }

  next(): Buffer {
    return this.frameCount === 0 ? this.#zero() : this.#entry();
  }

  #zero(): Buffer {
    const { container, accountUdf, signer, kind, storedAtMs } = this.#options;
    const contentType = kind === 'catalog' ? 'application/mmm-catalog' : 'application/mmm-spool';
    const draft = frameZero({ contentType, uniqueId: nonceUdf(systemRandom), createdMs: storedAtMs });
    const sealed = sealBatch([draft], { container, accountUdf, signer, createdMs: storedAtMs, ...this.trees });
    const [envelope] = sealed.envelopes;
    this.leafZero = Uint8Array.from(sealed.leaves[0] ?? []);
    this.trees = { tree: sealed.tree, log: sealed.log };
    if (envelope === undefined) throw new Error('no frame 0');
    const payload = Buffer.alloc(0);
    const digests = { payloadDigest: sha512(payload), treeDigest: apex(sealed.tree) as Uint8Array };
    return this.#row({ ...envelope, ...digests, leaf: this.leafZero, nodes: payload, payload }, null);
  }

  #entry(): Buffer {
    const frameIndex = this.frameCount;
    const uniqueId = bulkKey(frameIndex);
    // Ciphertext differs from entry to entry, so that nothing is found twice.
    this.#payload.writeUInt32BE(frameIndex);
    const payload = Buffer.from(this.#payload);
    const payloadDigest = sha512(payload);
    const event = this.#options.kind === 'catalog' ? 'New' : undefined;
    // As `writeContentMeta` and `encodeObject` would write them, only quicker.
    const contentMetaData = Buffer.from(
      `{"UniqueID":"${uniqueId}","cty":"application/mmm"${event === undefined ? '' : `,"Event":"${event}"`}}`,
    );
    const core = coreOf({ payloadDigest, contentMetaData, ...this.#encryption });
    const signatures = this.#isBatchEnd(frameIndex) ? [this.#manifest(core)] : [];
    const leaf = leafOfFrame(frameIndex, core, signatures);
    const { log, completed } = appendLeafKeeping(this.trees.log, leaf);
    const { state: tree, treeDigest } = appendDare(this.trees.tree, payloadDigest);
    this.trees = { tree, log };
    const header = Buffer.from(
      `{${this.#headerMembers},"ContentMetaData":"${encodeBase64Url(contentMetaData)}","ContainerInfo":{"Index":${frameIndex}}}`,
    );
    const trailer =
      signatures.length === 0
        ? Buffer.from(
            `{"PayloadDigest":"${encodeBase64Url(payloadDigest)}","TreeDigest":"${encodeBase64Url(treeDigest)}"}`,
          )
        : encodeObject(Trailer, { signatures, PayloadDigest: payloadDigest, TreeDigest: treeDigest }, 'json');
    return this.#row(
      { header, payload, payloadDigest, treeDigest, trailer, leaf, nodes: concat(...completed) },
      { uniqueId, event },
    );
  }

  #isBatchEnd(frameIndex: number): boolean {
    const { batchFrames = 1000, frameCount } = this.#options;
    return frameIndex === frameCount - 1 || frameIndex % batchFrames === 0;
  }

  #manifest(core: Uint8Array): SignatureEntry {
    const { batchFrames = 1000, signer, accountUdf, container, storedAtMs } = this.#options;
    const { log } = this.trees;
    const index = log.frameCount;
    // The last batch may be a short one.
    const from = Math.floor((index - 1) / batchFrames) * batchFrames + 1;
    const fields = {
      ...{ kind: manifestKinds.frame, from, index, root: root(log), createdMs: storedAtMs + index },
      ...{ subject: accountUdf, object: container },
    };
    const Manifest = signManifest(signer, fields, core);
    return { alg: manifestAlgorithm, kid: signer.publicKey.udf, Manifest };
  }

  #row(frame: StoredFrame, entry: { uniqueId: string; event: string | undefined } | null): Buffer {
    const { containerId, storedAtMs } = this.#options;
    const { header, payload, trailer, payloadDigest, treeDigest, leaf, nodes } = frame;
    const frameIndex = this.frameCount - 1;
    this.bytes += header.length + payload.length + (trailer?.length ?? 0);
    return copyRow([
      ...[containerId, frameIndex, storedAtMs + frameIndex],
      ...[entry === null ? null : Buffer.from(entry.uniqueId), entry?.event ?? null],
      ...[header, payload, trailer, payloadDigest, treeDigest, leaf, nodes],
    ]);
  }
}

/** The members of a header, without braces. */
function headerText(header: Header): string {
  return Buffer.from(encodeObject(Header, { dig: 'S512', ...header }, 'json'))
    .toString('utf8')
    .slice(1, -1);
}

function coreRecipient({ kid = '', epk, wmk }: NonNullable<Header['recipients']>[number]): CoreRecipient {
  const nothing = new Uint8Array(0);
  return { kid, epk: epk?.PublicKeyECDH?.Public ?? nothing, wmk: wmk ?? nothing };
}

interface StoredFrame {
  readonly header: Uint8Array;
  readonly payload: Uint8Array;
  readonly trailer: Uint8Array | null;
  readonly payloadDigest: Uint8Array;
  readonly treeDigest: Uint8Array;
  readonly leaf: Uint8Array;
  readonly nodes: Uint8Array;
}
