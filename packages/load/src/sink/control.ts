/**
 * Where a sink is told how to behave, and asked what it got: plain HTTP for programs on the same machine.
 *
 * - `GET /` what it is, how it behaves, the counts; `GET /messages` the messages one by one
 * - `PUT /conduct` a `Conduct` in JSON, in force when it is answered
 * - `DELETE /messages` begins to count anew
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sinkOrderBytesMax } from '@meshd/limits/load';
import { formatHostPort, type HostPort } from '@meshd/process/setting';
import { conductForm } from './behaviour.js';
import type { Sink } from './sink.js';

/** The address, listening. */
export interface SinkControl {
  readonly url: string;
  stop(): Promise<void>;
}

/** What a sink tells of itself and of what it got. */
export function reportOf(sink: Sink): object {
  return { domain: sink.domain, url: sink.url, ca: sink.caFile, conduct: sink.conduct, ...sink.tally.counts };
}

/** Begins to listen. @throws errors of sockets */
export async function startSinkControl(sink: Sink, listen: HostPort): Promise<SinkControl> {
  const server = createServer((request, response) => {
    answer(sink, request)
      .then(({ status, body }) => send(response, status, body))
      .catch((error: Error) => send(response, 400, { error: error.message }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const { address: host, port } = server.address() as AddressInfo;
  return {
    url: `http://${formatHostPort({ host, port })}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(sink: Sink, request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  switch (`${request.method} ${request.url}`) {
    case 'GET /':
      return { status: 200, body: reportOf(sink) };
    case 'GET /messages':
      return { status: 200, body: sink.tally.messages };
    case 'DELETE /messages':
      sink.tally.clear();
      return { status: 200, body: reportOf(sink) };
    case 'PUT /conduct':
      sink.behave(conductForm.parse(JSON.parse(await textOf(request))));
      return { status: 200, body: reportOf(sink) };
    default:
      return { status: 404, body: { error: 'GET /, GET or DELETE /messages, PUT /conduct' } };
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request as AsyncIterable<Buffer>) {
    text += part.toString('utf8');
    if (text.length > sinkOrderBytesMax) throw new RangeError(`an order has at most ${sinkOrderBytesMax} octets`);
  }
  return text;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}
