/** A real DNS server in a process of its own, for providers that find one another on one machine. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import type { DnsOrder, DnsReport } from './dns-server-main.js';
import type { Zone } from './dns-zone.js';

/** The server, running. It ends with us. */
export interface DnsServer {
  /** `127.0.0.1:port`, UDP and TCP; the form of `MESHD_DISCOVERY_SERVERS`. */
  readonly address: string;
  readonly port: number;
  /** Replaces all that it knows; in force when it resolves. */
  setZone(zone: Zone): Promise<void>;
  /** How often it was asked for `TYPE name`. */
  asked(question: string): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts it on the loopback interface.
 *
 * @param port 0 lets the system choose
 */
export async function startDnsServer(zone: Zone, port = 0): Promise<DnsServer> {
  const program = createRequire(import.meta.url).resolve('@meshd/dev/dns-server-main');
  const child = fork(program, [String(port)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const first = await nextReport(child);
  if (!('port' in first)) throw new Error('the DNS server did not start');
  // One order at a time: reports come in the order of their orders.
  let last: Promise<unknown> = Promise.resolve();
  const order = (what: DnsOrder): Promise<DnsReport> => {
    const report = last.then(() => {
      const answered = nextReport(child);
      child.send(what);
      return answered;
    });
    last = report.catch(() => undefined);
    return report;
  };
  await order({ zone });
  return {
    address: `127.0.0.1:${first.port}`,
    port: first.port,
    setZone: async (next) => {
      await order({ zone: next });
    },
    asked: async (question) => {
      const report = await order({ counts: true });
      return 'counts' in report ? (report.counts[question] ?? 0) : 0;
    },
    stop: async () => {
      if (child.exitCode !== null) return;
      const ended = once(child, 'exit');
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

async function nextReport(child: ChildProcess): Promise<DnsReport> {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(() => {
    throw new Error('the DNS server has ended');
  });
  try {
    const [report] = (await Promise.race([once(child, 'message', { signal }), ended])) as [DnsReport];
    return report;
  } finally {
    over.abort();
  }
}
