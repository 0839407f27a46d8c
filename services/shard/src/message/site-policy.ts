/*
 * What an operator decides about messages for the whole site (semantics 8.1, 8.3), as pure functions: with which domains
 * messages are exchanged, and which types. It holds both ways, for what people here send and for what they are sent.
 */

/** The decision. All domains are canonical. */
export interface SitePolicy {
  /** Domains with which messages are exchanged; undefined: all. */
  readonly allowedDomains: ReadonlySet<string> | undefined;
  /** Domains with which none are, allowed or not. */
  readonly blockedDomains: ReadonlySet<string>;
  /** Types that are neither sent nor taken. */
  readonly blockedTypes: ReadonlySet<string>;
  /** Domains whose people may write to anybody here: for development, and for domains of one house. */
  readonly openDomains: ReadonlySet<string>;
  /** Messages that are refused are reported as taken, and filed nowhere but among the incidents. */
  readonly dropsSilently: boolean;
}

/** Which rule of the site refuses. */
export type SiteRefusal = 'domain-blocked' | 'type-blocked';

/** What holds where an operator says nothing. */
export const sitePolicyDefault: SitePolicy = {
  allowedDomains: undefined,
  blockedDomains: new Set(),
  blockedTypes: new Set(),
  openDomains: new Set(),
  dropsSilently: false,
};

/** What settings say; absent means nothing is said. */
export interface SiteSettings {
  /** Domains served, canonical. */
  readonly domains: readonly string[];
  readonly messageDomains?: readonly string[] | undefined;
  readonly messageDomainsRefused?: readonly string[] | undefined;
  readonly messageDomainsOpen?: readonly string[] | undefined;
  readonly messageTypesRefused?: readonly string[] | undefined;
  readonly messageRefusals: 'told' | 'dropped';
}

/** The policy that settings make. Who names the domains of others need not name his own. */
export function sitePolicyOf(settings: SiteSettings): SitePolicy {
  const { domains, messageDomains, messageDomainsRefused, messageDomainsOpen, messageTypesRefused } = settings;
  return {
    allowedDomains: messageDomains && new Set([...domains, ...messageDomains]),
    blockedDomains: new Set(messageDomainsRefused),
    blockedTypes: new Set(messageTypesRefused),
    openDomains: new Set(messageDomainsOpen),
    dropsSilently: settings.messageRefusals === 'dropped',
  };
}

/**
 * Why the site exchanges no messages of this type with this domain; undefined: it does.
 *
 * @param domain of the other side, canonical
 */
export function siteRefusal(site: SitePolicy, domain: string, messageType: string): SiteRefusal | undefined {
  const isOutside = site.allowedDomains !== undefined && !site.allowedDomains.has(domain);
  if (isOutside || site.blockedDomains.has(domain)) return 'domain-blocked';
  return site.blockedTypes.has(messageType) ? 'type-blocked' : undefined;
}
