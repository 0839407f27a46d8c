/** The program behind `npm run demo`: messages between two providers, each step explained as it happens. */
import { systemClock } from '@meshd/process/clock';
import { ConfigError } from '@meshd/process/config';
import { BackendError } from './backends.js';
import { readBackendSettings } from './config.js';
import { DemoError } from './demo-people.js';
import { play } from './demo-script.js';
import { setStage } from './demo-stage.js';
import { bold, complain, say, tell } from './speak.js';

const usage = `Usage: npm run demo

Starts two providers with different domains, and a DNS server for them, on this machine; makes an account at each,
and sends messages both ways. Takes a minute or two, asks for nothing, and leaves nothing behind.

Environment: MESHD_POSTGRES_URL and MESHD_REDIS_URL, addresses of servers to use instead of own ones.`;

/** As a shell counts an end by Ctrl-C. */
const interrupted = 130;

async function main(): Promise<number> {
  if (process.argv.length > 2) {
    tell(usage);
    return /^(-h|--help)$/.test(process.argv[2] ?? '') ? 0 : 2;
  }
  const end = new AbortController();
  let isStopping = false;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => end.abort('stopped'));
  // A terminal that was closed takes no more words; there is still everything to stop.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const onFailure = (reason: string) => {
    // What ends while everything is being stopped has been asked to.
    if (isStopping) return;
    complain(reason);
    end.abort('failed');
  };
  const stage = await setStage({ ...readBackendSettings(), nowMs: systemClock(), say, onFailure });
  try {
    end.signal.throwIfAborted();
    const { sentCount, arrivedCount } = await play(stage, end.signal);
    return sentCount > 0 && arrivedCount === sentCount ? 0 : 1;
  } catch (error) {
    if (end.signal.reason === 'stopped') return interrupted;
    if (!end.signal.aborted) complain(error instanceof DemoError ? error.message : String(error));
    return 1;
  } finally {
    isStopping = true;
    say('Stopping everything');
    await stage.stop();
    tell(bold('The demo is over; nothing of it is left on this machine.'));
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof BackendError || error instanceof ConfigError)) throw error;
  complain(error.message);
  process.exitCode = 1;
}
