import { HttpsPoster } from '@meshd/binding/http-client';
import { publicationPathPrefix } from '@meshd/binding/http-server';
import { LocatedPoster } from '@meshd/binding/located-poster';
import { publicationBytesMax, publicationFetchMsMax } from '@meshd/limits/hailing';
import { publicationCatalog } from '@meshd/schema/container-name';
import type { Device } from '../device.js';
import type { ClientEnvironment, ServiceLocation } from '../environment.js';
import { ClientError } from '../errors.js';
import { requireNoEvidence } from '../evidence.js';
import { enqueue } from '../pending.js';
import { asClientError, repeatUntilAnswered } from '../repeat.js';
import { flushPending } from './flush.js';
import { recordingEvidence } from './record-evidence.js';
import { syncAccount } from './sync.js';

/*
 * Publications (semantics 7.6): ciphertext that anybody may fetch who knows its identifier. Writing one is an entry of the
 * catalog, by manifests and all; fetching is a plain GET, which proves nothing: the key of the EARL does.
 */

/**
 * Publishes octets under an identifier, in place of what the account published there before.
 *
 * @throws ClientError `refused` where the service does not take it, `conflict`
 */
export async function publish(device: Device, identifier: string, payload: Uint8Array): Promise<void> {
  if (payload.length > publicationBytesMax) {
    throw new ClientError('entry', `a publication has at most ${publicationBytesMax} octets`);
  }
  await change(device, identifier, { header: {}, payload });
}

/** Withdraws it. @throws ClientError `usage` where nothing is published under it */
export async function withdraw(device: Device, identifier: string): Promise<void> {
  await change(device, identifier, undefined);
}

async function change(
  device: Device,
  identifier: string,
  body: { readonly header: Record<string, never>; readonly payload: Uint8Array } | undefined,
): Promise<void> {
  const { home, environment } = device.session;
  await requireNoEvidence(home);
  await syncAccount(device, [publicationCatalog]);
  const { reader } = await device.replica(publicationCatalog);
  const base = reader.replay?.items.get(identifier)?.current;
  if (body === undefined && base === undefined)
    throw new ClientError('usage', 'this account publishes nothing of that');
  const modifiedMs = environment.nowMs();
  const entry = { name: identifier, uniqueId: identifier, base, modifiedMs, body };
  const batch = await enqueue(home, publicationCatalog, [entry]);
  const flushed = await recordingEvidence(device, () => flushPending(device));
  const failure = flushed.failures.find(({ container }) => container === publicationCatalog);
  if (failure !== undefined) throw failure.error;
  if (flushed.placed.some((placed) => placed.batch === batch)) return;
  throw new ClientError('conflict', 'another device has changed the publication; try again');
}

/**
 * Fetches what is published under an identifier.
 *
 * @returns undefined where there is nothing
 * @throws ClientError `unavailable`
 */
export async function fetchPublication(
  environment: ClientEnvironment,
  service: ServiceLocation,
  identifier: string,
): Promise<Uint8Array | undefined> {
  const poster = posterOf(environment, service);
  try {
    const get = () => poster.get(`${publicationPathPrefix}${identifier}`, publicationFetchMsMax);
    const laterMs = ({ httpStatus, retryAfterMs = 0 }: { httpStatus: number; retryAfterMs: number | undefined }) =>
      httpStatus === 429 || httpStatus === 503 ? retryAfterMs : undefined;
    const { httpStatus, body } = await repeatUntilAnswered(environment, get, laterMs);
    if (httpStatus === 404) return undefined;
    if (httpStatus === 200) return body;
    throw new ClientError('unavailable', `${service.domain} answers ${httpStatus}; try again later`);
  } catch (error) {
    throw asClientError(error);
  } finally {
    poster.close();
  }
}

function posterOf(environment: ClientEnvironment, { domain, url, ca }: ServiceLocation): HttpsPoster | LocatedPoster {
  const common = { domain, ca, responseBytesMax: publicationBytesMax };
  if (url !== undefined) return new HttpsPoster({ ...common, url });
  if (environment.locator === undefined) return new HttpsPoster({ ...common, url: `https://${domain}` });
  return new LocatedPoster({ ...common, locator: environment.locator, clock: () => environment.nowMs() });
}
