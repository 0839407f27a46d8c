/**
 * Authenticated requests and responses, and HTTP under them: the client's half and the service's half of S20–S33.
 *
 * Octets that are signed: `credential.ts`. Requests: `request-sign.ts` makes them, `request-open.ts` takes them apart,
 * `request-authenticate.ts` says who sent them. Responses: `response-sign.ts`, `response-open.ts`. Who a host is and to
 * which service it belongs: `host-chain.ts` judges, `host-files.ts` makes and reads the files, `host-watch.ts` follows
 * them. Tickets: `ticket-derivation.ts` computes what both ends must; `seal.ts` seals, `ticket-seal.ts` tickets and
 * `page-key.ts` page keys, under the keys of `ticket-keys.ts`; `ticket-issue.ts` and `ticket-opener.ts` are the service's
 * half, `ticket-hold.ts` and
 * `ticket-wallet.ts` the client's. `redirect.ts`: where an answer may send a client. A client's trust: `pins.ts`, `service-trust.ts`. HTTP: `http-client.ts` posts,
 * `http-server.ts` judges headers.
 * `discovery/` finds a service by its domain, `located-poster.ts` posts to what it found, `peer-connection.ts` is one
 * service's way to another.
 * `mesh-connection.ts` puts the client's half together: a transaction and a message in, a verified response out.
 *
 * Nothing here knows accounts, containers or storage.
 */
export {};
