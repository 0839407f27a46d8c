/** What TXT records say about a service or one of its hosts (semantics 2.1 step 2; R056). */
import { redirectPathBytesMax } from '@meshd/limits/limits';
import { protocolVersion } from '@meshd/schema/features';

/** A service or host as its TXT records describe it. */
export interface ServiceText {
  /** Where the service listens, instead of the well-known path. */
  readonly path: string | undefined;
  /** Whether it speaks our version of the protocol, and JSON, which every Hello is in. Silence is consent. */
  readonly isFit: boolean;
}

/** One segment after another, without what could lead out of the host: no scheme, no `..`, no `//` at the front (S74). */
const pathForm = /^\/(?!\/)[\w.~!$&'()*+,;=:@%/-]*$/;
const climbing = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * Reads the TXT records of one name. Pairs that we do not know, or cannot read, are passed over; of a repeated key the
 * first counts.
 *
 * @param records the character-strings of each record
 * @returns undefined where `path` is none: then it is not known where the service listens, and guessing would be worse
 */
export function readServiceText(records: readonly (readonly string[])[]): ServiceText | undefined {
  const pairs = new Map<string, string>();
  for (const word of records.flat().flatMap((text) => text.split(' '))) {
    const at = word.indexOf('=');
    const key = word.slice(0, Math.max(at, 0)).toLowerCase();
    if (key !== '' && !pairs.has(key)) pairs.set(key, word.slice(at + 1));
  }
  const path = pairs.get('path');
  if (path !== undefined && !isServicePath(path)) return undefined;
  return { path, isFit: isOurVersion(pairs.get('version')) && isOurEncoding(pairs.get('encoding')) };
}

/** Whether a text can be the path of a service (S74). */
export function isServicePath(text: string): boolean {
  return text.length <= redirectPathBytesMax && pathForm.test(text) && !climbing.test(text);
}

/** `lo-hi` or one version, each `major` or `major.minor`; a bound without minor takes in all of its major. */
function isOurVersion(text: string | undefined): boolean {
  const match = /^(\d{1,5})(?:\.(\d{1,5}))?(?:-(\d{1,5})(?:\.(\d{1,5}))?)?$/.exec(text ?? '');
  if (match === null) return true;
  const [, lowMajor, lowMinor, highMajor = lowMajor, highMinor = match[3] === undefined ? lowMinor : undefined] = match;
  const place = (major: string | undefined, minor: string | number) => Number(major) * 100_000 + Number(minor);
  const ours = place(String(protocolVersion.Major), protocolVersion.Minor);
  return place(lowMajor, lowMinor ?? 0) <= ours && ours <= place(highMajor, highMinor ?? 99_999);
}

function isOurEncoding(text: string | undefined): boolean {
  return text === undefined || text.split(',').some((name) => /^(?:application\/)?json$/i.test(name.trim()));
}
