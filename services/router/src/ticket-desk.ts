/**
 * Tickets and page keys at a router (S30–S33, semantics 6.5): opens what others bring, issues what they ask for. Nothing is
 * kept: all routers of a provider seal with the same keys.
 */
import type { HostIdentity } from '@meshd/binding/host-files';
import { openPageKey, type PageQuery, sealPageKey } from '@meshd/binding/page-key';
import type { Authentication } from '@meshd/binding/request-authenticate';
import { reqAuthOf } from '@meshd/binding/request-authenticate';
import type { OpenedRequest } from '@meshd/binding/request-open';
import { clientNonceOf, issueTicket, type TicketHolder } from '@meshd/binding/ticket-issue';
import type { TicketKeyRing } from '@meshd/binding/ticket-keys';
import { TicketOpener } from '@meshd/binding/ticket-opener';
import { ticketChainMsMax, ticketMsMax } from '@meshd/limits/limits';
import type { Clock } from '@meshd/process/clock';
import type { PrincipalDescription } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import type { ExchangeResponse } from '@meshd/schema/common';
import { featureWords } from '@meshd/schema/features';
import { MeshError } from '@meshd/schema/status';

/** Whom a shard took a requester for. */
export interface Described {
  /** Canonical address. */
  readonly account: string;
  readonly principal: PrincipalDescription;
}

/** A request that asks for a ticket. */
export interface TicketWish {
  /** Whether the shard must say first who asks; devices without account are known by their profile. */
  readonly needsPrincipal: boolean;
  /** The ticket, after the request succeeded; nothing for whom the shard does not describe. */
  issue(described: Described | undefined): ExchangeResponse | undefined;
}

const noConnection = new Uint8Array(64);
const known: ReadonlySet<string> = new Set(featureWords);

/** Words that a requester named: those that anybody knows, since they go into tickets. */
function wordsOf(features: readonly string[] | undefined): readonly string[] | undefined {
  return features === undefined ? undefined : [...new Set(features)].filter((word) => known.has(word));
}

/** What a requester understands: as it says in the request, or said when it got its ticket (schema 13). */
export function featuresOf({ request }: OpenedRequest, authentication: Authentication): readonly string[] {
  const ticket = authentication.form === 'ticket' ? authentication.ticket.content.features : undefined;
  return wordsOf(request.message.Features) ?? ticket ?? [];
}

/** What {@link TicketDesk} needs. */
export interface TicketDeskOptions {
  readonly ring: () => TicketKeyRing;
  readonly host: () => HostIdentity;
  readonly clock: Clock;
}

/** Opens and issues. */
export class TicketDesk {
  readonly #options: TicketDeskOptions;
  readonly opener: TicketOpener;

  constructor(options: TicketDeskOptions) {
    this.#options = options;
    this.opener = new TicketOpener(options.ring, () => options.host().serviceUdf);
  }

  /** What keeps tickets from being issued, for readiness. */
  problems(): string[] {
    const { ring, clock } = this.#options;
    return ring().sealing(clock()) === undefined ? ['no ticket key is in force'] : [];
  }

  /**
   * The wish of a request for a ticket; undefined where there is none, or none that is granted.
   *
   * @throws MeshError `malformed` for an exchange that cannot be, `not-authenticated` without a signature, `ticket` when
   * one is needed again (S33)
   */
  wishOf(opened: OpenedRequest, authentication: Authentication): TicketWish | undefined {
    const { received, request } = opened;
    const { Exchange: exchange } = request.message;
    if (exchange === undefined) return undefined;
    if (request.transaction === 'CreateAccount') throw new MeshError('malformed', 'no exchange in CreateAccount');
    const clientNonce = clientNonceOf(exchange);
    const features = featuresOf(opened, authentication);
    const nowMs = this.#options.clock();
    const holder = holderOf(authentication, { service: received.base.service, features, signedAtMs: nowMs });
    if (holder === undefined) return undefined;
    if (nowMs >= holder.signedAtMs + ticketChainMsMax) throw new MeshError('ticket', 'a signature is needed');
    const part = {
      clientNonce,
      requestPayloadDigest: received.payloadDigest,
      reqAuth: reqAuthOf(received.entries),
    };
    const needsPrincipal = holder.level !== 'device';
    return {
      needsPrincipal,
      issue: (described) => {
        if (needsPrincipal && described === undefined) return undefined;
        const account = described?.account ?? holder.account;
        const { accountUdf = holder.accountUdf, deviceUdf = holder.deviceUdf } = described?.principal ?? {};
        return this.#issue({ ...holder, account, accountUdf, deviceUdf }, part);
      },
    };
  }

  #issue(holder: TicketHolder, request: Parameters<typeof issueTicket>[0]['request']): ExchangeResponse | undefined {
    const { ring, host, clock } = this.#options;
    const { signingKey, serviceUdf } = host();
    const nowMs = clock();
    const sealKey = ring().sealing(nowMs);
    if (sealKey === undefined) return undefined;
    const hostKey = signingKey.publicKey.raw;
    return issueTicket({ holder, request, hostKey, sealKey, serviceUdf, nowMs });
  }

  /** Seals where a Download was cut; undefined while there is no key to do it with. */
  sealPage(query: Omit<PageQuery, 'expiresMs'>): string | undefined {
    const { ring, host, clock } = this.#options;
    const nowMs = clock();
    const sealKey = ring().sealing(nowMs);
    if (sealKey === undefined) return undefined;
    return sealPageKey(sealKey, host().serviceUdf, { ...query, expiresMs: nowMs + ticketMsMax });
  }

  /**
   * Opens a page key.
   *
   * @throws MeshError `page-key` for one that is unreadable, over, or somebody else's: which of them it is, is not told
   */
  openPage(pageKey: string, account: string, device: string): PageQuery {
    const { ring, host, clock } = this.#options;
    const nowMs = clock();
    const keys = ring();
    const query = openPageKey((keyId) => keys.opening(keyId, nowMs), host().serviceUdf, pageKey);
    if (query === undefined || nowMs >= query.expiresMs || query.account !== account || query.device !== device) {
      throw new MeshError('page-key');
    }
    return query;
  }
}

type Given = Pick<TicketHolder, 'service' | 'features' | 'signedAtMs'>;

/** Whom a ticket will be for, as far as the request proves. Whose host it is, only its service's pin can say (S70). */
function holderOf(authentication: Authentication, given: Given): TicketHolder | undefined {
  const nobody = { account: '', accountUdf: '', deviceUdf: '', connectionDigest: noConnection };
  switch (authentication.form) {
    case 'device': {
      const { key, deviceUdf } = authentication;
      return { ...nobody, ...given, level: 'device', deviceUdf, key: key.raw };
    }
    case 'profile': {
      const { key, connectionDigest } = authentication;
      return { ...nobody, ...given, level: 'profile', key: key.raw, connectionDigest };
    }
    case 'ticket': {
      // A ConnectionHost ends when it ends: its host shows it anew for every ticket.
      if (authentication.ticket.content.level === 'service') return undefined;
      const { prk: _prk, issuedMs: _issued, expiresMs: _expires, ...content } = authentication.ticket.content;
      return { ...content, features: given.features };
    }
    case 'host': {
      const { key, connectionDigest } = authentication;
      return { ...nobody, ...given, level: 'service', key: key.raw, connectionDigest };
    }
    default:
      throw new MeshError('not-authenticated', 'an exchange needs a signature');
  }
}
