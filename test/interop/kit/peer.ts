/** A client that knows one service: pins it by Hello, believes nothing that does not verify. */
import type { Wire } from './dare.js';
import { makeRequest, type RequestParts, type Sent, type Signer } from './request.js';
import { hostKeyOf, type OpenedAnswer, openAnswer, peek, type ResponseMembers, selfSigned } from './response.js';
import { type HttpAnswer, type PostChoices, post, type Reachable } from './wire.js';

/** An answer whose signature, binding and host chain hold. */
export interface Answer extends OpenedAnswer {
  readonly status: number;
  readonly extended: number | undefined;
  readonly http: HttpAnswer;
  readonly sent: Sent;
}

export type CallChoices = PostChoices & Omit<RequestParts, 'tag' | 'message' | 'signers'>;

export class Peer {
  readonly to: Reachable;
  readonly domain: string;
  readonly service: { readonly raw: Uint8Array; readonly udf: string };
  readonly hello: ResponseMembers;

  constructor(to: Reachable, domain: string, hello: ResponseMembers) {
    this.to = to;
    this.domain = domain;
    this.hello = hello;
    this.service = selfSigned(hello.EnvelopedProfileService, 'ProfileService');
  }

  /** Says Hello in an envelope and takes the service's key from the verified answer (S23, S26). */
  static async meet(to: Reachable, domain = 'example.com'): Promise<Peer> {
    const sent = makeRequest({ tag: 'Hello', service: domain });
    const answer = await post(to, sent.body, { host: domain });
    const hello = peek(answer.body).message;
    const peer = new Peer(to, domain, hello);
    peer.verify(answer, sent);
    return peer;
  }

  /** Profiles of the host that answered Hello, for answers that carry none of their own. */
  get host(): { profileHost: Wire | undefined; connectionHost: Wire | undefined } {
    const { EnvelopedProfileHost: profileHost, EnvelopedConnectionHost: connectionHost } = this.hello;
    return { profileHost, connectionHost };
  }

  /** Raw key of the host that answered Hello. */
  hostKey(nowMs = Date.now()): Uint8Array {
    return hostKeyOf(this.host.profileHost, this.host.connectionHost, this.service, this.domain, nowMs);
  }

  /** @throws Error when the answer is not this service's to that request */
  verify(http: HttpAnswer, sent: Sent, nowMs = Date.now()): Answer {
    const opened = openAnswer(http.body, sent, this.domain, this.service, this.host, nowMs);
    const { Status, StatusExtended } = opened.message;
    if (Status === undefined) throw new Error('an answer without Status');
    return { ...opened, status: Status, extended: StatusExtended, http, sent };
  }

  async call(tag: string, message: object, signers: readonly Signer[], choices: CallChoices = {}): Promise<Answer> {
    const sent = makeRequest({ service: this.domain, ...choices, tag, message, signers });
    return this.send(sent, choices);
  }

  async send(sent: Sent, choices: PostChoices = {}): Promise<Answer> {
    return this.verify(await post(this.to, sent.body, { host: this.domain, ...choices }), sent);
  }

  /** Status, extended code and HTTP status: what most tests ask. */
  async codes(tag: string, message: object, signers: readonly Signer[], choices: CallChoices = {}) {
    return codesOf(await this.call(tag, message, signers, choices));
  }
}

export const codesOf = ({ status, extended, http, tag }: Answer) => ({ status, extended, http: http.status, tag });

/** What stands as HTTP status for a Status: the same, but 3xx travels as 200. */
export const httpOf = (status: number): number => (status >= 300 && status < 400 ? 200 : status);
