/** A service over HTTPS that signs as a real one does and says what a test tells it to: for judging clients. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { reqAuth } from '@meshd/binding/credential';
import { type HostIdentity, initService, issueHost, loadHostIdentity } from '@meshd/binding/host-files';
import { parseMediaType } from '@meshd/binding/media-type';
import { type ReceivedRequest, receiveRequest } from '@meshd/binding/request-open';
import { signResponse } from '@meshd/binding/response-sign';
import type { EnvelopeOctets } from '@meshd/dare/envelope';
import { ensureCertificates } from '@meshd/dev/certificates';
import { encodeTagged } from '@meshd/encoding/codec';
import { MeshHelloResponse, responseRegistry } from '@meshd/schema/protocol';

export const domain = 'mesh.localhost';

/** An answer as HTTP carries it. */
export interface RawAnswer {
  readonly httpStatus: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What a Hello says; tests change single members. */
export interface HelloScript {
  readonly features?: readonly string[];
  readonly profileService?: EnvelopeOctets;
  readonly encodings?: readonly string[];
  /** Other members, or other values of these. */
  readonly members?: Partial<MeshHelloResponse>;
}

const features = ['auth-1', 'host-1', 'manifest-1', 'gcm-1', 'entry'];

/** Keys and host of a service, in a folder. */
export async function makeIdentity(
  folder: string,
  options: { readonly domains?: readonly string[]; readonly nowMs?: number } = {},
): Promise<HostIdentity> {
  const nowMs = options.nowMs ?? Date.now();
  await initService(folder, { nowMs });
  await issueHost(folder, 'router', { domains: options.domains ?? [domain], nowMs });
  return loadHostIdentity(join(folder, 'router'));
}

/** Signs a response to a request. */
export async function answer(
  identity: HostIdentity,
  request: ReceivedRequest,
  tag: string,
  message: object,
): Promise<Uint8Array> {
  const table = responseRegistry.entries.get(tag)?.table;
  if (table === undefined) throw new Error(`no response ${tag}`);
  const entries = request.entries.map(({ kid = '', signature = new Uint8Array(0) }) => ({ kid, signature }));
  const answered = { service: request.base.service, payloadDigest: request.payloadDigest, reqAuth: reqAuth(entries) };
  return signResponse(
    identity,
    answered,
    encodeTagged(table, { Status: 201, ID: request.base.id, ...message }, 'json'),
  );
}

/** Signs the answer to a Hello. */
export function helloAnswer(identity: HostIdentity, request: ReceivedRequest, script: HelloScript = {}) {
  const message: MeshHelloResponse = {
    Version: {
      ...{ Major: 3, Minor: 0, Features: [...(script.features ?? features)] },
      Encodings: [{ ID: [...(script.encodings ?? ['application/json'])] }],
    },
    EnvelopedProfileService: script.profileService ?? identity.profileService,
    EnvelopedProfileHost: identity.profileHost,
    EnvelopedConnectionHost: identity.connectionHost,
    ...script.members,
  };
  return answer(identity, request, MeshHelloResponse.name, message);
}

/** The server. `respond` is the script. */
export class ScriptedService {
  readonly folder: string;
  readonly ca: string;
  identity: HostIdentity;
  /** Requests as received, in order. */
  readonly requests: ReceivedRequest[] = [];
  /** What each was addressed to: `Host`, TLS server name, path. */
  readonly addressed: { host: string | undefined; serverName: unknown; path: string | undefined }[] = [];
  respond: (request: ReceivedRequest) => Promise<RawAnswer>;
  /** So many of the next requests find their connection closed in the place of an answer. */
  cuts = 0;
  readonly #server: Server;

  private constructor(folder: string, ca: string, identity: HostIdentity, server: Server) {
    this.folder = folder;
    this.ca = ca;
    this.identity = identity;
    this.#server = server;
    this.respond = (request) => this.honestly(request);
  }

  /** @param names domains of its certificate, where they are not those that its host speaks for */
  static async start(domains: readonly string[] = [domain], names = domains): Promise<ScriptedService> {
    const folder = await mkdtemp(join(tmpdir(), 'meshd-scripted-'));
    const { server: files, caFile } = await ensureCertificates(folder, names, Date.now());
    const identity = await makeIdentity(join(folder, 'service'), { domains });
    const [cert, key] = await Promise.all([readFile(files.certFile), readFile(files.keyFile)]);
    const server = createServer({ cert, key, minVersion: 'TLSv1.3' });
    const service = new ScriptedService(folder, await readFile(caFile, 'utf8'), identity, server);
    server.on('request', async (incoming, outgoing) => {
      if (service.cuts > 0) {
        service.cuts -= 1;
        incoming.socket.destroy();
        return;
      }
      const parts: Uint8Array[] = [];
      for await (const part of incoming) parts.push(part);
      const form = parseMediaType(incoming.headers['content-type']) ?? 'json';
      const request = receiveRequest(Buffer.concat(parts), form);
      service.requests.push(request);
      const { headers: sentHeaders, url: path } = incoming;
      service.addressed.push({ host: sentHeaders.host, serverName: (incoming.socket as TLSSocket).servername, path });
      const { httpStatus, headers, body } = await service.respond(request);
      outgoing.writeHead(httpStatus, { 'content-type': 'application/json', ...headers });
      outgoing.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return service;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  /** What an honest service says: Hello as it is, success without contents to all else. */
  async honestly(request: ReceivedRequest): Promise<RawAnswer> {
    const isHello = request.base.transaction === 'Hello';
    const body = isHello
      ? await helloAnswer(this.identity, request)
      : await answer(this.identity, request, `${request.base.transaction}Response`, {});
    return { httpStatus: 201, body };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.folder, { recursive: true });
  }
}
