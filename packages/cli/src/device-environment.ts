/** The client's view of the world behind a command: real clock, progress on the terminal, files named on the line. */
import { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import { DiscoverySettingError, readDiscoverySettings } from '@meshd/binding/discovery/settings';
import type { Change, Decide } from '@meshd/client/conflicts';
import { type ClientEnvironment, systemEnvironment } from '@meshd/client/environment';
import { AddressError, canonicalAddress, canonicalDomain } from '@meshd/schema/address';
import { type CommandIo, type Progress, UsageError } from './command-io.js';
import { currentMs, readDiscoveryTexts } from './environment.js';

/** Options that say where a service is. */
export interface ServiceOptions {
  readonly url?: string;
  readonly ca?: string;
}

/** Runs `work` with an environment that shows its progress; the display is gone when it ends. */
export async function withEnvironment<T>(
  io: CommandIo,
  work: (environment: ClientEnvironment) => Promise<T>,
): Promise<T> {
  let shown: { label: string; display: Progress } | undefined;
  const environment: ClientEnvironment = {
    ...systemEnvironment((label, done, total) => {
      if (shown?.label !== label) {
        shown?.display.stop();
        shown = { label, display: io.progress(label, total) };
      }
      shown.display.update(done, total);
    }),
    form: io.encoding,
    locator: locatorOf(io),
  };
  try {
    return await work(environment);
  } finally {
    shown?.display.stop();
  }
}

/** Finds services as the DNS says it; on a user's own device also in the user's own network. @throws UsageError */
function locatorOf(io: CommandIo): ServiceLocator {
  const { servers, overrides } = readDiscoveryTexts();
  try {
    const settings = readDiscoverySettings({ servers: io.resolver ?? servers, overrides });
    return new ServiceLocator({ ...settings, reach: 'any', clock: currentMs });
  } catch (error) {
    throw error instanceof DiscoverySettingError ? new UsageError(error.message) : error;
  }
}

function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof AddressError ? new UsageError(`${error.detail}; write NAME@DOMAIN`) : error;
  }
}

/** The canonical form of an address on the command line. @throws UsageError */
export function addressArgument(text: string): string {
  return asUsage(() => canonicalAddress(text));
}

/** The domain of an address, or a bare domain. @throws UsageError */
export function domainArgument(text: string): string {
  return asUsage(() => canonicalDomain(text.slice(text.lastIndexOf('@') + 1)));
}

/** The certificates of `--ca`, as PEM text. */
export async function caArgument(io: CommandIo, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const text = Buffer.from(await io.readFile(path)).toString('utf8');
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new UsageError(`${path} holds no certificate in PEM`);
  return text;
}

/** Where a service is, if it was said; otherwise its domain says it. @throws UsageError */
export function urlArgument(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw new UsageError(`${url} is no https address`);
  return url;
}

/** A count or index on the command line. @throws UsageError */
export function integerArgument(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${name} takes a whole number, not ${text}`);
  return Number(text);
}

const choices = ['mine', 'theirs', 'later'] as const;

/** How `--conflicts` decides where a deletion stands against a change; without it the user is asked, if there is one. */
export function decisionArgument(io: CommandIo, text: string | undefined): Decide {
  const fixed = choices.find((choice) => choice === text);
  if (text !== undefined && fixed === undefined) {
    throw new UsageError(`--conflicts takes ${choices.join(', ')}, not ${text}`);
  }
  return async ({ container, name, mine, theirs }) => {
    if (fixed !== undefined) return fixed;
    const did = (change: Change) => (change === 'delete' ? 'deleted' : 'changed');
    const question = `${name} in ${container} was ${did(mine)} here and ${did(theirs)} elsewhere; keep`;
    return (await io.ask(question, choices)) ?? 'later';
  };
}
