/**
 * Page keys (semantics 6.5): where a Download was cut and what its query was, sealed as tickets are, so that any router
 * continues it and nothing is kept.
 */
import { type Random, systemRandom } from '@meshd/crypto/random';
import { decodeBase64Url, encodeBase64Url } from '@meshd/encoding/base64url';
import { openBox, type SealKey, sealBox } from './seal.js';

/** The query that a page key continues. */
export interface PageQuery {
  /** Canonical address; a page key of another account is refused. */
  readonly account: string;
  /** Raw key of the device, as base64url. */
  readonly device: string;
  readonly container: string;
  /** Where to go on. */
  readonly indexNext: number;
  /** Frames that the container had at the first answer; later ones are not in the query. */
  readonly frameCount: number;
  readonly indexMax?: number;
  readonly notBeforeMs?: number;
  readonly beforeMs?: number;
  readonly filters?: readonly string[];
  readonly prove?: boolean;
  /** Which parts of a frame were asked for. */
  readonly parts: { readonly header: boolean; readonly payload: boolean; readonly trailer: boolean };
  readonly expiresMs: number;
}

/** Seals a query as the text of a page key. */
export function sealPageKey(
  sealKey: SealKey,
  serviceUdf: string,
  query: PageQuery,
  random: Random = systemRandom,
): string {
  const plain = Buffer.from(JSON.stringify(query), 'utf8');
  return encodeBase64Url(sealBox('mesh-page-1', sealKey, serviceUdf, plain, random));
}

/** Opens a page key; undefined for what is none of ours. Whose it is and until when is the caller's to judge. */
export function openPageKey(
  keyOf: (keyId: Uint8Array) => SealKey | undefined,
  serviceUdf: string,
  pageKey: string,
): PageQuery | undefined {
  const box = decodedOf(pageKey);
  const plain = box === undefined ? undefined : openBox('mesh-page-1', keyOf, serviceUdf, box);
  return plain === undefined ? undefined : (JSON.parse(Buffer.from(plain).toString('utf8')) as PageQuery);
}

function decodedOf(text: string): Uint8Array | undefined {
  try {
    return decodeBase64Url(text);
  } catch {
    return undefined;
  }
}
