import { helloCacheMs } from '@meshd/limits/limits';
import type { Home } from './home.js';

/** What one Upload may hold, as the service's Hello says; members that it left out are absent. */
export interface UploadConstraints {
  readonly entriesMax?: number | undefined;
  readonly payloadBytesMax?: number | undefined;
}

interface StoredConstraints extends UploadConstraints {
  version: 1;
  heardMs: number;
}

// Canonical domains are safe as file names.
const fileOf = (domain: string) => ['constraints', `${domain}.json`] as const;

/**
 * The constraints of a service, heard from it at most a day ago (R107, semantics 6.1); else asked for anew.
 *
 * @param ask what a Hello says now
 */
export async function uploadConstraints(
  home: Home,
  domain: string,
  nowMs: number,
  ask: () => Promise<UploadConstraints>,
): Promise<UploadConstraints> {
  const stored = await home.readJson<StoredConstraints>(...fileOf(domain));
  const ageMs = nowMs - (stored?.heardMs ?? Number.NaN);
  // A clock that was set back makes them look as if they came from the future: they may be of any age.
  if (stored?.version === 1 && ageMs >= 0 && ageMs < helloCacheMs) return stored;
  const heard = await ask();
  const storing: StoredConstraints = { version: 1, heardMs: nowMs, ...heard };
  await home.writeJson(storing, ...fileOf(domain));
  return heard;
}

/** Forgets them: after a refusal that may mean that the service is another one now (semantics 6.1). */
export async function forgetConstraints(home: Home, domain: string): Promise<void> {
  await home.remove(...fileOf(domain));
}
