/**
 * The limit of the figures with a database: a bare `node:https` handler in a process of its own that does what no server
 * could leave out (verify as many signatures, write the same row, read and digest the same rows), and nothing else.
 */
import { createPublicKey, generateKeyPairSync, hash, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { serveCalls } from './child.ts';
import type { FrameSizes } from './upload-chain.ts';

/** How the handler for uploads is set up. */
export interface UploadLimit {
  /** Database with a table `frame` of the same shape. */
  readonly databaseUrl: string;
  readonly signaturesPerRequest: number;
  readonly row: FrameSizes;
}

/** How the handler for downloads is set up. */
export interface DownloadLimit {
  /** Database with the very rows. */
  readonly databaseUrl: string;
  readonly containerId: number;
  readonly indexMin: number;
  /** Octets to send. */
  readonly answerBytes: number;
}

type Handler = (body: Buffer, http: ServerResponse) => Promise<void>;

const poolSize = 16;
const handlers = new Map<string, Handler>();
const pools: pg.Pool[] = [];
/** Rows inserted so far, by the handlers of all figures: they share the table, and no row comes twice. */
let rowCount = 0;

function openPool(databaseUrl: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize, options: '-c synchronous_commit=on' });
  pools.push(pool);
  return pool;
}

function verified(message: Buffer, key: KeyObject, signature: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, message, key, signature, (error, holds) => (error === null ? resolve(holds) : reject(error)));
  });
}

const insertText = `INSERT INTO frame (container_id, frame_index, stored_at_ms, unique_id, event, header, payload, trailer,
  payload_digest, tree_digest, leaf) VALUES ($1, $2, $3, $4, 'New', $5, $6, $7, $8, $9, $10)`;

/** Verifies, inserts one row, commits, answers. */
function uploadHandler({ databaseUrl, signaturesPerRequest, row }: UploadLimit): Handler {
  const { privateKey, publicKey } = generateKeyPairSync('ed448');
  const key = createPublicKey(publicKey.export({ format: 'pem', type: 'spki' }));
  const message = randomBytes(128);
  const signature = sign(null, message, privateKey);
  const pool = openPool(databaseUrl);
  // Cut anywhere out of it, octets are as random as fresh ones and cost nothing.
  const noise = randomBytes(1024 * 1024);
  const cut = (count: number, length: number) => {
    const at = (count * 4093) % (noise.length - length);
    return noise.subarray(at, at + length);
  };
  return async (_body, http) => {
    const checks = Array.from({ length: signaturesPerRequest }, () => verified(message, key, signature));
    if ((await Promise.all(checks)).includes(false)) throw new Error('a good signature does not hold');
    rowCount += 1;
    const at = rowCount;
    const bytes = (length: number) => cut(at, length);
    const { headerBytes, payloadBytes, trailerBytes, uniqueIdBytes } = row;
    const parts = [bytes(uniqueIdBytes), bytes(headerBytes), bytes(payloadBytes), bytes(trailerBytes)];
    // as many containers as there are accounts, so that the index grows in as many places
    const values = [1 + (at % 64), Math.floor(at / 64), Date.now(), ...parts, bytes(64), bytes(64), bytes(32)];
    await pool.query({ name: 'insert', text: insertText, values });
    http.writeHead(201, { 'Content-Length': 2 }).end('{}');
  };
}

/** Reads the rows, digests each once, sends as many octets. */
function downloadHandler({ databaseUrl, containerId, indexMin, answerBytes }: DownloadLimit): Handler {
  const pool = openPool(databaseUrl);
  const answer = Buffer.alloc(answerBytes, randomBytes(1024 * 1024).toString('base64url'));
  const text = `SELECT header, payload, trailer, payload_digest FROM frame
    WHERE container_id = $1 AND frame_index >= $2 ORDER BY frame_index`;
  return async (_body, http) => {
    const { rows } = await pool.query({ name: 'select', text, values: [containerId, indexMin] });
    for (const { payload, payload_digest: digest } of rows as { payload: Buffer; payload_digest: Buffer }[]) {
      if (!hash('sha512', payload, 'buffer').equals(digest)) throw new Error('a row is damaged');
    }
    http.writeHead(200, { 'Content-Length': answerBytes }).end(answer);
  };
}

async function handle(request: IncomingMessage, http: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  await (handlers.get(request.url ?? '') as Handler)(Buffer.concat(parts), http);
}

const calls = {
  /** Starts listening; returns the port. */
  async listen({ certificate, key }: { certificate: string; key: string }): Promise<number> {
    const server = createServer({ cert: certificate, key, minVersion: 'TLSv1.3' }, (request, http) => {
      handle(request, http).catch((error: Error) => http.writeHead(500).end(error.stack));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  },

  /** Serves `/upload`. */
  async serveUpload(limit: UploadLimit) {
    handlers.set('/upload', uploadHandler(limit));
  },

  /** Serves `/download`. */
  async serveDownload(limit: DownloadLimit) {
    handlers.set('/download', downloadHandler(limit));
  },
};

/** What the bench asks of the limit. */
export type LimitCalls = typeof calls;

serveCalls(calls);
