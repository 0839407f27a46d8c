/** A router inside the test process, with TLS, host keys and a shard that is a function. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initService, issueHost } from '@meshd/binding/host-files';
import { MeshConnection, type MeshConnectionOptions } from '@meshd/binding/mesh-connection';
import { memoryPinStore } from '@meshd/binding/pins';
import { rotateTicketKeys } from '@meshd/binding/ticket-keys';
import { ensureCertificates } from '@meshd/dev/certificates';
import { type Router, type RouterOverrides, startRouter } from '@meshd/router/compose';
import type { ShardLink } from '@meshd/router/shard-link';
import type { DownloadPart, Outcome, SlotMap, TransactResponse } from '@meshd/rpc/generated/meshd/shard/v1/shard';

export const domain = 'example.com';

export const success = (status = 201): Outcome => ({
  status,
  error: '',
  detail: '',
  retryAfterMs: 0,
  correlation: '',
  mapVersion: 1,
});
export const refused = (error: string, members: Partial<Outcome> = {}): Outcome => ({
  ...success(400),
  error,
  ...members,
});

export const oneShardMap: SlotMap = {
  version: 1,
  ranges: [{ first: 0, last: 4095, shard: 'one' }],
  exceptions: [],
  shards: [{ shard: 'one', address: 'one:1' }],
};

/** A shard that says yes, unless told otherwise. */
export function fakeLink(overrides: Partial<ShardLink> = {}): ShardLink {
  return {
    transact: async ({ transaction, describePrincipal }): Promise<TransactResponse> => {
      const principal = describePrincipal ? { accountUdf: 'MACC-OUNT', deviceUdf: 'MDEV-ICE' } : undefined;
      // No other service is known yet.
      if (transaction?.$case === 'lookupPeer') {
        return { number: 1, outcome: success(), result: { $case: 'lookupPeer', value: { retryAfterMs: 1000 } } };
      }
      if (transaction?.$case === 'status') {
        const value = { containers: [], profileMesh: undefined, deviceEntry: undefined };
        return { number: 1, outcome: success(), principal, result: { $case: 'status', value } };
      }
      return { number: 1, outcome: success(), principal, result: undefined };
    },
    download: async function* (): AsyncGenerator<DownloadPart> {
      yield { part: { $case: 'outcome', value: success() } };
      yield { part: { $case: 'end', value: { frameCount: 0, cut: false } } };
    },
    watchMap: async function* (_known, signal) {
      yield oneShardMap;
      await new Promise((resolve) => signal?.addEventListener('abort', resolve));
    },
    close: () => undefined,
    ...overrides,
  };
}

/** A router that runs. */
export interface RunningRouter {
  readonly router: Router;
  readonly url: string;
  readonly ca: string;
  readonly directory: string;
  connect(domain?: string, options?: Partial<MeshConnectionOptions>): MeshConnection;
  /** Sends a request as it is, and gives back what comes. */
  send(options: SendOptions): Promise<RawAnswer>;
  metric(name: string): Promise<string>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  /** Goes to the router's own address unless told otherwise. */
  readonly port?: number;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly octets: Buffer;
}

export interface RouterKitOptions extends RouterOverrides {
  readonly domains?: readonly string[];
}

/** Starts one. */
export async function startTestRouter(options: RouterKitOptions = {}): Promise<RunningRouter> {
  const { domains = [domain, 'b.example'], ...overrides } = options;
  const directory = await mkdtemp(join(tmpdir(), 'meshd-router-'));
  const nowMs = overrides.clock?.() ?? Date.now();
  await initService(directory, { nowMs });
  await issueHost(directory, 'router', { domains, nowMs });
  await rotateTicketKeys(join(directory, 'tickets'), nowMs);
  const certificates = await ensureCertificates(join(directory, 'tls'), domains, Date.now());
  const local = { host: '127.0.0.1', port: 0 };
  const router = await startRouter(
    {
      adminListen: local,
      logLevel: 'silent',
      hostDir: join(directory, 'router'),
      ticketKeyDir: join(directory, 'tickets'),
      rpcCertFile: certificates.internal.router.certFile,
      rpcKeyFile: certificates.internal.router.keyFile,
      rpcCaFile: certificates.internalCaFile,
      listen: local,
      domains: [...domains],
      tlsCertFile: certificates.server.certFile,
      tlsKeyFile: certificates.server.keyFile,
      shards: [{ host: 'one', port: 1 }],
      registration: 'open',
    },
    { openLink: () => fakeLink(), drainMs: 0, ...overrides },
  );
  const ca = await readFile(certificates.caFile, 'utf8');
  const { port } = router.address;
  const url = `https://127.0.0.1:${port}/.well-known/mmm`;
  const connections: MeshConnection[] = [];
  return {
    router,
    url,
    ca,
    directory,
    connect: (name = domain, connecting = {}) => {
      const clock = overrides.clock === undefined ? {} : { clock: overrides.clock };
      const connection = new MeshConnection({ domain: name, url, ca, pins: memoryPinStore(), ...clock, ...connecting });
      connections.push(connection);
      return connection;
    },
    send: (sendOptions) => send(ca, { port, ...sendOptions }),
    metric: async (name) => {
      const text = await (await fetch(`${router.adminUrl}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(name))
        .join('\n');
    },
    stop: async () => {
      for (const connection of connections) await connection.close();
      await router.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function send(ca: string, options: SendOptions & { readonly port: number }): Promise<RawAnswer> {
  const { port, method = 'POST', path = '/.well-known/mmm', headers = {}, body = '' } = options;
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        ca,
        method,
        path,
        servername: domain,
        agent: false,
        headers: { host: domain, 'content-type': 'application/json', ...headers },
      },
      async (response) => {
        const parts: Buffer[] = [];
        for await (const part of response) parts.push(part as Buffer);
        const octets = Buffer.concat(parts);
        const { statusCode: status = 0, headers: answered } = response;
        resolve({ status, headers: answered, body: octets.toString('utf8'), octets });
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
