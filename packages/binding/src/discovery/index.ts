/**
 * Where the service of a domain is (semantics 2.1): from a domain to addresses, port and path, and nothing about trust.
 * What stands in the DNS chooses only where to connect; who answers there must show the domain's certificate (S74).
 *
 * `dns-question.ts` asks name servers one question, `resolver.ts` remembers answers by their time to live. Pure parts:
 * `srv-order.ts`, `text-record.ts`, `address-range.ts`. `settings.ts` reads what an operator may set.
 * `service-locator.ts` puts them together.
 */
export {};
