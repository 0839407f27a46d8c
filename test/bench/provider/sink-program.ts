/** Many services of other people, each with keys, certificate and port of its own, that take what comes and sign for it. */
import { join } from 'node:path';
import { startSink } from '@meshd/load/sink/sink';
import { serveCalls } from './child.ts';

const calls = {
  /** Starts one for each domain; returns their ports. */
  async start({ domains, folder, authority }: { domains: readonly string[]; folder: string; authority: string }) {
    const ports: number[] = [];
    for (const domain of domains) {
      const listen = { host: '127.0.0.1', port: 0 };
      const sink = await startSink({ domain, folder: join(folder, domain), listen, authority });
      ports.push(sink.address.port);
    }
    return ports;
  },
};

/** What the bench asks of the sinks. */
export type SinkCalls = typeof calls;

serveCalls(calls);
