/**
 * What HTTP says about a request, judged without touching a socket (semantics 2.2).
 *
 * HTTP separates services (host, path) and frames messages; nothing else is taken from it (R052).
 */
import type { IncomingHttpHeaders } from 'node:http';
import { httpBodyBytesMax } from '@meshd/limits/limits';
import { wellKnownPath } from '@meshd/schema/features';
import { MeshError } from '@meshd/schema/status';
import { type BodyForm, parseMediaType } from './media-type.js';

/** Where the service answers: as the draft prints it, and as the reference code posts (semantics 2.1). */
export const servicePaths: ReadonlySet<string> = new Set([wellKnownPath, `${wellKnownPath}/`]);
/** Where publications are fetched: a service of its own on the same port (semantics 7.6). */
export const publicationPathPrefix = `${wellKnownPath}-udf/`;

/** The path of a request target, without its query. */
export function pathOf(target: string | undefined): string {
  const path = target ?? '';
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

/** How a body is framed, for a reader that wants to refuse early. */
export interface BodyFraming {
  /** Stated length, octets; undefined for chunks. */
  readonly bytesStated: number | undefined;
}

/**
 * Judges the framing: one of `Content-Length` and `Transfer-Encoding: chunked`, never both, since two readers could
 * then disagree about where the request ends.
 *
 * @throws MeshError `malformed` (the connection is to be closed) or `too-large`
 */
export function readFraming(headers: IncomingHttpHeaders): BodyFraming {
  const length = headers['content-length'];
  const transfer = headers['transfer-encoding'];
  if (length !== undefined && transfer !== undefined) {
    throw new MeshError('malformed', 'Content-Length and Transfer-Encoding exclude each other');
  }
  if (transfer !== undefined) {
    if (transfer.trim().toLowerCase() !== 'chunked') throw new MeshError('malformed', 'unknown Transfer-Encoding');
    return { bytesStated: undefined };
  }
  if (length === undefined) return { bytesStated: 0 };
  if (!/^\d{1,15}$/.test(length)) throw new MeshError('malformed', 'Content-Length is no number');
  const bytesStated = Number(length);
  if (bytesStated > httpBodyBytesMax)
    throw new MeshError('too-large', `a body holds at most ${httpBodyBytesMax} octets`);
  return { bytesStated };
}

/**
 * Refuses a second `Host`: readers could disagree about whom the request is for, and Node keeps the first silently.
 *
 * @param rawHeaders names and values in turn, as Node gives them
 * @throws MeshError `malformed` (RFC 7230 5.4)
 */
export function refuseSecondHost(rawHeaders: readonly string[]): void {
  const hosts = rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length > 1) throw new MeshError('malformed', 'more than one Host');
}

/**
 * Refuses what says that it came through an intermediary. Only where messages without envelope are taken: there the
 * socket itself is all that says who may ask, and behind a proxy anybody might (S28).
 *
 * @throws MeshError `not-authenticated`
 */
export function refuseForwarded(headers: IncomingHttpHeaders): void {
  const sign = Object.keys(headers).find((name) => /^(?:forwarded|via|x-forwarded-.*)$/i.test(name));
  if (sign !== undefined) throw new MeshError('not-authenticated', `${sign} is not taken here`);
}

/**
 * The form of the body, from its headers.
 *
 * @throws MeshError `media-type` for a type that is missing or not served, and for any content coding
 */
export function readMediaType(headers: IncomingHttpHeaders): BodyForm {
  const coding = headers['content-encoding'];
  if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') {
    throw new MeshError('media-type', 'no content coding is taken');
  }
  const form = parseMediaType(headers['content-type']);
  if (form === undefined) throw new MeshError('media-type', 'the body must be application/json or application/json-b');
  return form;
}

/** The domain that `Host` names, for comparison with those served: port dropped, lower case. Empty if there is none. */
export function domainOfHost(host: string | undefined): string {
  return (host ?? '').trim().toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}
