/** The program behind `npm start`. */
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '@meshd/process/config';
import { BackendError } from './backends.js';
import { readBackendSettings } from './config.js';
import { type LocalProvider, startLocalProvider } from './local-provider.js';
import { InUseError } from './ownership.js';
import { bold, complain, say, tell } from './speak.js';
import { readStartOptions, type StartOptions, UsageError, usage } from './start-options.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** Everything has its own bound; together they cannot take longer. */
const stopMsMax = 90_000;

async function main(): Promise<void> {
  const options = readStartOptions(process.argv.slice(2), join(root, '.data'));
  if (options === 'help') return tell(usage);
  const { promise: failed, resolve: onFailure } = Promise.withResolvers<string>();
  const { promise: signalled, resolve: onSignal } = Promise.withResolvers<undefined>();
  // A terminal that was closed takes no more words; there is still everything to stop.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => onSignal(undefined));
  const starting = startLocalProvider({ ...options, ...readBackendSettings(), say, onFailure });
  const provider = await starting.catch((error) => explain(error, options));
  if (provider === undefined) return;
  present(provider, options);
  const reason = await Promise.race([failed, signalled]);
  if (reason !== undefined) {
    complain(reason);
    process.exitCode = 1;
  }
  await stop(provider);
}

async function stop(provider: LocalProvider): Promise<void> {
  say('Stopping');
  const forced = setTimeout(() => {
    complain('Stopping takes too long: leaving by force');
    process.exit(1);
  }, stopMsMax).unref();
  await provider.stop();
  clearTimeout(forced);
  say('Stopped; the data stays');
}

function present(provider: LocalProvider, options: StartOptions): void {
  const { url, adminUrl, caFile, layout, backends } = provider;
  const ca = shortPath(caFile);
  const alice = `alice@${options.domains[0]}`;
  const where = `--url ${url} --ca ${ca}`;
  tell(`
${bold('The provider runs.')}

  domain      ${options.domains.join(', ')}
  address     ${bold(url)}  (certificate authority: ${ca})
  data        ${layout.data}${layout.postgres.startsWith(layout.data) ? '' : ` and ${layout.postgres}`}
  health      ${adminUrl}/readyz   figures ${adminUrl}/metrics
  Postgres    ${backends.postgres.source}
  Redis       ${backends.redis.source}

Registration is ${bold('open')}: anybody on this machine may create an account. (It listens on the loopback interface
only; the services' own default is closed.)

Try, in a second terminal:

  npx mesh hello ${options.domains[0]} ${where}
  npx mesh account create ${alice} ${where}
  npx mesh account status

Ctrl-C stops everything; the data stays.
`);
}

/** A path as a person in the repository would type it, if that is shorter. */
function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

/** One clear sentence for what is foreseen; anything else is shown as it is. */
async function explain(error: unknown, options: StartOptions): Promise<undefined> {
  process.exitCode = 1;
  if (error instanceof InUseError) {
    const running = await readFile(join(options.data, 'provider.json'), 'utf8').catch(() => '{}');
    const { url } = JSON.parse(running) as { url?: string };
    const where = url === undefined ? 'is just starting' : `answers at ${url}`;
    complain(`A provider already runs on the data in ${options.data} (process ${error.pid}) and ${where}.`);
    complain('Stop it first, or start another one with --data, --port and --domain of its own.');
  } else if (error instanceof BackendError) complain(error.message);
  else complain(`The provider could not be started: ${(error as Error).message}`);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    complain(error.message);
    tell(usage);
    process.exitCode = 2;
  } else if (error instanceof ConfigError) {
    complain(error.message);
    process.exitCode = 1;
  } else throw error;
}
