/**
 * The admin listener: three addresses for machines that watch the process, plain HTTP, never reachable from outside.
 *
 * `/healthz` says whether the process should be restarted, `/readyz` whether it should be sent work, `/metrics` has its
 * figures. Both checks answer with the problems found: an operator who reads only "503" cannot act.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from '@meshd/telemetry/metrics';
import express from 'express';
import type { HostPort } from './setting.js';

/** Looks at the process and returns what is wrong with it; nothing wrong is an empty list. Throwing counts as wrong. */
export type Check = () => readonly string[] | Promise<readonly string[]>;

/** What {@link startAdminListener} needs. */
export interface AdminOptions {
  readonly listen: HostPort;
  /** Problems that only a restart cures; always well when absent (a process that answers is alive). */
  readonly health?: Check;
  /** Problems that mean "send me nothing now". */
  readonly ready: Check;
  readonly metrics: Registry;
}

/** A listener that runs. */
export interface AdminListener {
  /** Where it listens, the port chosen by the system filled in. */
  readonly address: HostPort;
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  /** Stops listening and drops open connections. */
  stop(): Promise<void>;
}

async function problemsOf(check: Check | undefined): Promise<readonly string[]> {
  try {
    return check === undefined ? [] : await check();
  } catch (error) {
    return [error instanceof Error ? error.message : 'check failed'];
  }
}

/** The express application behind the listener, for a process that already has a server to hang it on. */
export function adminApplication(options: Omit<AdminOptions, 'listen'>): express.Express {
  const application = express();
  application.disable('x-powered-by');
  const answer = (check: Check | undefined) => async (_request: express.Request, response: express.Response) => {
    const problems = await problemsOf(check);
    response.status(problems.length === 0 ? 200 : 503).json({ ok: problems.length === 0, problems });
  };
  application.get('/healthz', answer(options.health));
  application.get('/readyz', answer(options.ready));
  application.get('/metrics', async (_request, response) => {
    response.type(options.metrics.contentType).send(await options.metrics.metrics());
  });
  return application;
}

/**
 * Starts the listener.
 *
 * @throws the error of the socket, when the address cannot be had
 */
export async function startAdminListener(options: AdminOptions): Promise<AdminListener> {
  const server = createServer(adminApplication(options));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.listen.port, options.listen.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  const { host } = options.listen;
  return {
    address: { host, port },
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
