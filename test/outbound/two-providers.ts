/** Two providers that know nothing of each other but their domains, each with all its processes, inside a test's process. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '@meshd/dev/ports';
import {
  makeTestPlan,
  startPlannedProvider,
  type TestProvider,
  type TestProviderOptions,
} from '@meshd/dev/test-provider';
import { meshJson } from '../client/mesh-program.js';

/** A person with a home of her own. */
export interface Person {
  readonly address: string;
  /** Runs a command and gives its JSON document. @throws Error with what it said */
  // biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
  run(...args: readonly string[]): Promise<any>;
}

/** The two, and who lives there. */
export interface TwoProviders {
  readonly alpha: TestProvider;
  readonly beta: TestProvider;
  /** For files of the test; removed with the rest. */
  readonly folder: string;
  person(name: string, provider: TestProvider): Promise<Person>;
  stop(): Promise<void>;
}

/**
 * Starts them.
 *
 * @param shardSettings of each, by its domain, besides those of a test
 * @param common what both have of their own: servers beneath them, a logger
 */
export async function startTwoProviders(
  shardSettings: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  common: Pick<TestProviderOptions, 'backends' | 'logger'> = {},
): Promise<TwoProviders> {
  const folder = await mkdtemp(join(tmpdir(), 'meshd-two-'));
  const domains = ['alpha.test', 'beta.test'] as const;
  const made = await Promise.all(domains.map((domain) => makeTestPlan({ ...common, domains: [domain] })));
  const ports = await freePorts(domains.length);
  const authorities = await Promise.all(made.map(({ plan }) => readFile(plan.certificates.caFile, 'utf8')));
  const peerCaFile = join(folder, 'ca.crt');
  await writeFile(peerCaFile, authorities.join('\n'));
  const outboundSettings = {
    MESHD_DISCOVERY_OVERRIDES: domains.map((domain, at) => `${domain}=127.0.0.1:${ports[at]}`).join(','),
    MESHD_PEER_CA_FILE: peerCaFile,
  };
  const [alpha, beta] = (await Promise.all(
    made.map(({ plan }, at) => {
      const own = shardSettings[domains[at] as string] ?? {};
      const options = { ...common, outboundSettings, shardSettings: own };
      return startPlannedProvider({ ...plan, port: ports[at] as number }, options);
    }),
  )) as [TestProvider, TestProvider];
  return {
    ...{ alpha, beta, folder },
    person: async (name, provider) => {
      const address = `${name}@${provider.domain}`;
      const home = join(folder, address);
      const run = (...args: readonly string[]) => meshJson(home, ...args);
      await run('account', 'create', address, '--url', provider.url, '--ca', provider.caFile);
      return { address, run };
    },
    stop: async () => {
      await Promise.all([alpha.stop(), beta.stop()]);
      await Promise.all(made.map(({ remove }) => remove()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
