/** What an operator, or a test, may say about discovery. */
import { isIP } from 'node:net';
import { AddressError, canonicalDomain } from '@meshd/schema/address';
import { wellKnownPath } from '@meshd/schema/features';
import { type AddressRanges, addressRanges } from './address-range.js';
import type { NameServer } from './dns-question.js';
import { isServicePath } from './text-record.js';

/** A place that was set, instead of what the DNS says. */
export interface OverridePlace {
  /** Address, or a name that is looked up. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** The settings, read. */
export interface DiscoverySettings {
  /** Name servers; those of the system when absent. */
  readonly servers: readonly NameServer[] | undefined;
  /** Places of domains that are not looked up: development, and peers without DNS. */
  readonly overrides: ReadonlyMap<string, OverridePlace>;
  /** Ranges that the DNS may point to although they are private. */
  readonly allowed: AddressRanges;
}

/** A setting that cannot be read; the message names it and shows its form. */
export class DiscoverySettingError extends Error {
  override readonly name = 'DiscoverySettingError';
}

/** The settings as text, each a list with commas; absent or empty means none. */
export interface DiscoveryTexts {
  /** `ADDRESS:PORT,…`: MESHD_DISCOVERY_SERVERS. */
  readonly servers?: string | undefined;
  /** `DOMAIN=HOST:PORT[/PATH],…`: MESHD_DISCOVERY_OVERRIDES. */
  readonly overrides?: string | undefined;
  /** `10.0.0.0/8,…`: MESHD_DISCOVERY_ALLOW. */
  readonly allow?: string | undefined;
}

/**
 * Reads the settings.
 *
 * @throws DiscoverySettingError
 */
export function readDiscoverySettings(texts: DiscoveryTexts): DiscoverySettings {
  const servers = listOf(texts.servers).map(nameServerOf);
  return {
    servers: servers.length === 0 ? undefined : servers,
    overrides: new Map(listOf(texts.overrides).map(overrideOf)),
    allowed: rangesOf(texts.allow),
  };
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `host:port` or `[v6]:port`. */
const placeForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/]+)):(\d{1,5})(\/.*)?$/;

function placeOf(text: string): OverridePlace | undefined {
  const [, v6, name, digits, path = wellKnownPath] = placeForm.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  const isPlace = host !== undefined && port > 0 && port <= 65_535 && isServicePath(path);
  return isPlace && (v6 === undefined || isIP(v6) === 6) ? { host, port, path } : undefined;
}

function nameServerOf(text: string): NameServer {
  const place = placeOf(text);
  if (place !== undefined && isIP(place.host) !== 0) return { host: place.host, port: place.port };
  throw new DiscoverySettingError(`${JSON.stringify(text)} is no name server; write ADDRESS:PORT`);
}

function overrideOf(text: string): [domain: string, place: OverridePlace] {
  const at = text.indexOf('=');
  const place = placeOf(text.slice(at + 1));
  const domain = domainOf(text.slice(0, Math.max(at, 0)));
  if (place !== undefined && domain !== undefined) return [domain, place];
  throw new DiscoverySettingError(
    `${JSON.stringify(text)} sets no place; write DOMAIN=HOST:PORT or DOMAIN=HOST:PORT/PATH`,
  );
}

function domainOf(text: string): string | undefined {
  try {
    return canonicalDomain(text);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

function rangesOf(text: string | undefined): AddressRanges {
  try {
    return addressRanges(listOf(text));
  } catch (error) {
    if (error instanceof RangeError) throw new DiscoverySettingError(`${error.message}; write ADDRESS/BITS`);
    throw error;
  }
}
