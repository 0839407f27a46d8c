import { describe, expect, it } from 'vitest';
import { type Approach, type Decision, decide } from './access-control.js';
import { type SitePolicy, sitePolicyDefault, sitePolicyOf, siteRefusal } from './site-policy.js';

/** A stranger's message to somebody who is here. */
const stranger: Approach = {
  ...{ senderDomain: 'alpha.test', messageType: 'Note', accountUdf: 'MALI-CE', rules: [] },
  ...{ exists: true, fits: true, nameTaken: false, answersOurs: false, contactRequestsLeft: 5 },
};
/** The same to a name that nobody has: there is nothing to fill and nobody who has said anything. */
const nobody: Approach = { ...stranger, exists: false };
const request = { messageType: 'RequestContact' };
const rule = (permissions: string, accountUdf: string | undefined = 'MALI-CE') => ({
  rules: [{ accountUdf, address: 'alice@alpha.test', permissions }],
});

function told(approach: Partial<Approach>, site: Partial<SitePolicy> = {}): string {
  const decision: Decision = decide({ ...stranger, ...approach }, { ...sitePolicyDefault, ...site });
  return [decision.result, 'why' in decision ? decision.why : '', 'code' in decision ? decision.code : '']
    .filter(Boolean)
    .join(' ');
}

describe('[R185] [R186] people whom the user knows', () => {
  it('may send what the user allows, and nothing else', () => {
    expect(told(rule('*'))).toBe('accept');
    expect(told(rule('Note, RequestTask'))).toBe('accept');
    expect(told(rule('RequestTask'))).toBe('reject stranger policy');
    expect(told(rule(''))).toBe('reject person-blocked policy');
    expect(told(rule('*,-'))).toBe('reject person-blocked policy');
  });

  it('are told when the spool is full, or holds another message of that name', () => {
    expect(told({ ...rule('*'), fits: false })).toBe('reject quota quota');
    expect(told({ ...rule('*'), nameTaken: true })).toBe('reject name-taken event-rule');
    expect(told({ ...rule('*'), fits: false }, { dropsSilently: true })).toBe('reject quota quota');
  });

  it('[R183] [S72] are known by their key: another one under the same address is somebody else', () => {
    expect(told({ ...rule('*', 'MOTH-ER') })).toBe('reject identity-changed policy');
    expect(told({ ...request, ...rule('*', 'MOTH-ER') })).toBe('reject identity-changed policy');
    // Of an address alone nothing more is known: whoever its service says has it.
    expect(told({ rules: [{ accountUdf: undefined, address: 'alice@alpha.test', permissions: '*' }] })).toBe('accept');
  });

  it('may answer what the user asked', () => {
    expect(told({ messageType: 'ReplyContact', answersOurs: true })).toBe('accept');
    expect(told({ messageType: 'ResponseConfirmation', answersOurs: true })).toBe('accept');
    expect(told({ messageType: 'ReplyContact' })).toBe('reject stranger policy');
    expect(told({ messageType: 'Note', answersOurs: true })).toBe('reject stranger policy');
  });
});

describe('[R187] the operator', () => {
  const only = (...names: string[]) => new Set(names);

  it('names those with whom messages are exchanged, or those with whom none are', () => {
    expect(told(rule('*'), { blockedDomains: only('alpha.test') })).toBe('reject domain-blocked policy');
    expect(told(rule('*'), { allowedDomains: only('beta.test') })).toBe('reject domain-blocked policy');
    expect(told(rule('*'), { allowedDomains: only('alpha.test') })).toBe('accept');
    const both = { allowedDomains: only('alpha.test'), blockedDomains: only('alpha.test') };
    expect(told(rule('*'), both)).toBe('reject domain-blocked policy');
  });

  it('names types that nobody sends', () => {
    expect(told(rule('*'), { blockedTypes: only('Note') })).toBe('reject type-blocked policy');
    expect(told({ ...request }, { blockedTypes: only('RequestContact') })).toBe('reject type-blocked policy');
    expect(told(rule('*'), { blockedTypes: only('RequestTask') })).toBe('accept');
  });

  it('opens to domains, but not over what a user has said', () => {
    const open = { openDomains: only('alpha.test') };
    expect(told({}, open)).toBe('accept');
    expect(told({ senderDomain: 'beta.test' }, open)).toBe('reject stranger policy');
    expect(told(rule('-'), open)).toBe('reject person-blocked policy');
    expect(told({ ...rule('*', 'MOTH-ER') }, open)).toBe('reject identity-changed policy');
  });

  it('lets what is refused disappear', () => {
    expect(told({}, { dropsSilently: true })).toBe('drop stranger');
    expect(told(rule('-'), { dropsSilently: true })).toBe('drop person-blocked');
  });

  it('says so in settings; who names the domains of others need not name his own', () => {
    const nothing = sitePolicyOf({ domains: ['example.com'], messageRefusals: 'told' });
    expect(nothing).toEqual(sitePolicyDefault);
    const site = sitePolicyOf({
      ...{ domains: ['example.com'], messageRefusals: 'dropped', messageDomains: ['alpha.test'] },
      ...{ messageDomainsRefused: ['evil.test'], messageTypesRefused: ['Note'], messageDomainsOpen: ['alpha.test'] },
    });
    expect(site.dropsSilently).toBe(true);
    expect(siteRefusal(site, 'example.com', 'RequestTask')).toBeUndefined();
    expect(siteRefusal(site, 'beta.test', 'RequestTask')).toBe('domain-blocked');
    expect(siteRefusal(site, 'alpha.test', 'Note')).toBe('type-blocked');
  });
});

describe('[S80] a stranger', () => {
  const seen = (approach: Partial<Approach>, site: Partial<SitePolicy> = {}) =>
    told(approach, site).split(' ')[0] === 'reject' ? 'Reject' : 'Accept';
  /** What may be the matter with somebody who is here. */
  const matters: readonly Partial<Approach>[] = [
    {},
    { fits: false },
    { nameTaken: true },
    { fits: false, nameTaken: true },
    rule('-'),
    { ...rule(''), fits: false },
  ];

  it('asks for contact and is told the same, whoever is here and whatever is the matter', () => {
    for (const contactRequestsLeft of [1, 0]) {
      const expected = seen({ ...nobody, ...request, contactRequestsLeft });
      expect(expected).toBe(contactRequestsLeft > 0 ? 'Accept' : 'Reject');
      for (const matter of matters) {
        expect(seen({ ...request, ...matter, contactRequestsLeft })).toBe(expected);
      }
    }
  });

  it('sends anything else and is told the same', () => {
    for (const messageType of ['Note', 'ReplyContact', 'ResponseConfirmation']) {
      for (const matter of matters) {
        expect(seen({ ...matter, messageType })).toBe('Reject');
        expect(seen({ ...nobody, messageType })).toBe('Reject');
      }
    }
  });

  it('of an open domain is told the same where nobody has blocked him', () => {
    const open = { openDomains: new Set(['alpha.test']) };
    for (const matter of matters.slice(0, 4)) expect(seen(matter, open)).toBe(seen(nobody, open));
  });

  it('uses up his domain’s requests alike, filed or not', () => {
    for (const matter of [{ ...nobody }, ...matters]) {
      expect(decide({ ...stranger, ...matter, ...request }, sitePolicyDefault)).toMatchObject({
        countsAsRequest: true,
      });
    }
  });

  it('of the same service learns no reason by which he could tell', () => {
    for (const matter of matters.slice(0, 4)) expect(told(matter)).toBe(told(nobody));
  });
});
