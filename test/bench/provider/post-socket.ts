/**
 * A kept TLS connection over which one request is posted after the other. It reads of an answer what it must to find its
 * end, and nothing more: client and server share the machine, so what the client does not do the server can.
 */
import { connect, type TLSSocket } from 'node:tls';

/** Where requests go. */
export interface Target {
  readonly port: number;
  /** `Host` and TLS server name. */
  readonly domain: string;
  readonly path: string;
  /** Certificate of the authority to trust, PEM. */
  readonly ca: string;
  /** JSON when absent. */
  readonly mediaType?: string;
}

/** An answer, as far as it was looked at. */
export interface Answer {
  readonly status: number;
  /** Octets of the body, framing apart. */
  readonly bodyBytes: number;
}

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
/** Kept of an answer, to be shown when it is not the one that was expected. */
const shownBytesMax = 2000;

/** Follows one answer through the octets that come. */
class AnswerReader {
  status = 0;
  bodyBytes = 0;
  isDone = false;
  readonly shown: Buffer[] = [];
  #shownBytes = 0;
  #pending: Buffer = Buffer.alloc(0);
  #state: 'head' | 'body' | 'size' | 'chunk' | 'last' = 'head';
  /** Octets of the body or the chunk that are still to come; with a chunk its line end too. */
  #left = 0;

  take(octets: Buffer): void {
    let rest = octets;
    while (rest.length > 0 && !this.isDone) rest = this.#step(rest);
  }

  #step(octets: Buffer): Buffer {
    if (this.#state === 'body' || this.#state === 'chunk') return this.#skip(octets);
    const text = this.#pending.length === 0 ? octets : Buffer.concat([this.#pending, octets]);
    const end = this.#state === 'head' ? headEnd : lineEnd;
    const at = text.indexOf(end);
    if (at < 0) {
      this.#pending = text;
      return Buffer.alloc(0);
    }
    this.#pending = Buffer.alloc(0);
    const line = text.toString('latin1', 0, at);
    if (this.#state === 'head') this.#head(line);
    else if (this.#state === 'size') this.#size(line);
    else this.isDone = true;
    return text.subarray(at + end.length);
  }

  #head(head: string): void {
    this.status = Number(head.slice(9, 12));
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    this.#left = Number(length ?? 0);
    this.#state = length === undefined ? 'size' : 'body';
    this.isDone = length !== undefined && this.#left === 0;
  }

  #size(line: string): void {
    const size = Number.parseInt(line, 16);
    this.bodyBytes += size;
    this.#left = size + lineEnd.length;
    this.#state = size === 0 ? 'last' : 'chunk';
  }

  #skip(octets: Buffer): Buffer {
    const part = octets.subarray(0, this.#left);
    if (this.#shownBytes < shownBytesMax) this.shown.push(part.subarray(0, shownBytesMax));
    this.#shownBytes += part.length;
    this.#left -= part.length;
    if (this.#state === 'body') {
      this.bodyBytes += part.length;
      this.isDone = this.#left === 0;
    } else if (this.#left === 0) this.#state = 'size';
    return octets.subarray(part.length);
  }
}

/** A request as octets, head and body, so that sending it is one write. */
export function framed(body: Uint8Array, { path, domain, mediaType = 'application/json' }: Target): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${domain}`,
    `Content-Type: ${mediaType}`,
    `Content-Length: ${body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

/** One connection. */
export class PostSocket {
  readonly #socket: TLSSocket;
  readonly #target: Target;
  #answer = new AnswerReader();
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | undefined;

  private constructor(socket: TLSSocket, target: Target) {
    this.#socket = socket;
    this.#target = target;
    const fail = (error?: Error) => this.#settle?.reject(error ?? new Error('the connection was closed'));
    socket.on('data', (octets) => this.#take(octets));
    socket.on('error', fail).on('close', () => fail());
  }

  static async open(target: Target): Promise<PostSocket> {
    const { port, domain, ca } = target;
    const socket = connect({ port, host: '127.0.0.1', servername: domain, ca, minVersion: 'TLSv1.3' });
    socket.setNoDelay(true);
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed before it was one')));
    });
    return new PostSocket(socket, target);
  }

  /** Posts a body. @throws Error for an answer that is no success */
  post(body: Uint8Array): Promise<Answer> {
    return this.send(framed(body, this.#target));
  }

  /** Sends what {@link framed} made. @throws Error for an answer that is no success */
  send(request: Buffer): Promise<Answer> {
    this.#answer = new AnswerReader();
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#socket.write(request);
    });
  }

  /** Reads the answer no faster than so many octets in a second, in small portions. */
  async postSlowly(body: Uint8Array, bytesPerSecond: number): Promise<Answer> {
    const socket = this.#socket;
    let allowedBytes = 0;
    const onData = ({ length }: Buffer) => {
      allowedBytes -= length;
      if (allowedBytes < 0) socket.pause();
    };
    const portionMs = 20;
    const timer = setInterval(() => {
      allowedBytes += (bytesPerSecond * portionMs) / 1000;
      if (allowedBytes > 0) socket.resume();
    }, portionMs);
    socket.on('data', onData);
    try {
      return await this.post(body);
    } finally {
      clearInterval(timer);
      socket.off('data', onData);
      socket.resume();
    }
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #take(octets: Buffer): void {
    const answer = this.#answer;
    answer.take(octets);
    if (!answer.isDone) return;
    const { status, bodyBytes } = answer;
    const settle = this.#settle;
    this.#settle = undefined;
    if (status >= 200 && status < 300) settle?.resolve({ status, bodyBytes });
    else settle?.reject(new Error(`an answer with status ${status}: ${readable(Buffer.concat(answer.shown))}`));
  }
}

/** The message in an answer's envelope, where there is one: the first long string after the header. */
function readable(body: Buffer): string {
  const payload = /\},"([\w-]+)/.exec(body.toString('latin1'))?.[1];
  return Buffer.from(payload ?? '', 'base64url').toString('utf8') || body.toString('latin1');
}
