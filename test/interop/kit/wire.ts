/** HTTP over TLS 1.3, and a bare socket for what an HTTP library would not send. */
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';

export interface Reachable {
  readonly port: number;
  readonly ca: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface PostChoices {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Record<string, string>;
  readonly contentType?: string | null;
  /** Sends the body in pieces, without Content-Length. */
  readonly chunks?: readonly (string | Uint8Array)[];
}

const agents = new Map<number, Agent>();

function agentOf(port: number): Agent {
  const agent = agents.get(port) ?? new Agent({ keepAlive: true, maxSockets: 8 });
  agents.set(port, agent);
  return agent;
}

export function closeConnections(): void {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}

/** Posts a body as `application/json`, unless told otherwise. */
export function post(to: Reachable, body: string | Uint8Array, choices: PostChoices = {}): Promise<HttpAnswer> {
  const { method = 'POST', path = '/.well-known/mmm', host = 'example.com', headers = {}, chunks } = choices;
  const type = choices.contentType === undefined ? 'application/json' : choices.contentType;
  const length = chunks === undefined ? { 'content-length': `${Buffer.byteLength(body)}` } : {};
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port: to.port,
        ca: to.ca,
        servername: host.replace(/:\d+$/, ''),
        minVersion: 'TLSv1.3',
        agent: agentOf(to.port),
        method,
        path,
        headers: { host, ...(type === null ? {} : { 'content-type': type }), ...length, ...headers },
      },
      async (response) => {
        const parts: Buffer[] = [];
        try {
          for await (const part of response) parts.push(part as Buffer);
        } catch (error) {
          reject(error);
          return;
        }
        const answer = Buffer.concat(parts).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: answer });
      },
    );
    request.on('error', reject);
    if (chunks === undefined) request.end(method === 'GET' ? undefined : body);
    else {
      for (const chunk of chunks) request.write(chunk);
      request.end();
    }
  });
}

/** Everything that comes back over one connection until the peer closes it, or `waitMs` pass. */
export function raw(to: Reachable, octets: string, waitMs = 4000, servername = 'example.com'): Promise<RawEnd> {
  return new Promise((resolve, reject) => {
    let received = '';
    let closed = false;
    const socket: TLSSocket = connect({ host: '127.0.0.1', port: to.port, ca: to.ca, servername }, () => {
      socket.write(octets);
    });
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ received, closed });
    };
    const timer = setTimeout(end, waitMs);
    socket.on('data', (part: Buffer) => {
      received += part.toString('utf8');
    });
    socket.on('end', () => {
      closed = true;
      end();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
      closed = true;
      end();
    });
  });
}

export interface RawEnd {
  readonly received: string;
  /** Whether the peer closed the connection. */
  readonly closed: boolean;
}
