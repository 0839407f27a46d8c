/** One address for health, readiness and figures of all processes of a provider on this machine; loopback only. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mergeMetrics } from './merge-metrics.js';

/** A process that has an admin listener of its own. */
export interface WatchedProcess {
  readonly name: string;
  /** Its admin address, without a slash at the end. */
  readonly url: string;
}

/** The listener, running. */
export interface AdminAggregate {
  readonly url: string;
  stop(): Promise<void>;
}

interface Answer {
  readonly name: string;
  readonly status: number;
  readonly text: string;
}

const askMsMax = 3000;

/** Starts it on a free port. */
export async function startAdminAggregate(processes: readonly WatchedProcess[]): Promise<AdminAggregate> {
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    if (path === '/healthz' || path === '/readyz') void answerCheck(processes, path, response);
    else if (path === '/metrics') void answerMetrics(processes, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What each process answers; one that does not is 503. */
function askAll(processes: readonly WatchedProcess[], path: string): Promise<Answer[]> {
  return Promise.all(
    processes.map(async ({ name, url }) => {
      try {
        const response = await fetch(url + path, { signal: AbortSignal.timeout(askMsMax) });
        return { name, status: response.status, text: await response.text() };
      } catch {
        return { name, status: 503, text: '{"ok":false,"problems":["does not answer"]}' };
      }
    }),
  );
}

async function answerCheck(processes: readonly WatchedProcess[], path: string, response: ServerResponse) {
  const answers = await askAll(processes, path);
  const ok = answers.every(({ status }) => status === 200);
  const details = Object.fromEntries(answers.map(({ name, text }) => [name, parse(text)]));
  response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ ok, processes: details }));
}

async function answerMetrics(processes: readonly WatchedProcess[], response: ServerResponse) {
  const answers = await askAll(processes, '/metrics');
  const parts = answers.filter(({ status }) => status === 200).map(({ name, text }) => ({ process: name, text }));
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  response.end(mergeMetrics(parts));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { ok: false, problems: [text] };
  }
}
