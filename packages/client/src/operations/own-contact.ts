import { nonceUdf, udfEquals } from '@meshd/crypto/udf';
import { type EnvelopeOctets, openEnvelope } from '@meshd/dare/envelope';
import { signEnvelope } from '@meshd/dare/sign';
import { verifyEnvelope } from '@meshd/dare/verify';
import { decodeTagged, defineTags, encodeTagged } from '@meshd/encoding/codec';
import { Contact } from '@meshd/schema/catalog';
import { contactCatalog, itemContentType } from '@meshd/schema/container-name';
import { contactAddress, ownContactBody, readOwnContact } from '../contact-entry.js';
import type { Device } from '../device.js';
import { requireNoEvidence } from '../evidence.js';
import { makeCard } from '../people/card.js';
import { encryptBody } from '../writer.js';
import { contactEntries, placeContact } from './contacts.js';
import { syncAccount } from './sync.js';

/*
 * What the owner says of himself (`CatalogedContact.Self`, schema 6): an entry of the contacts' catalog whose contact an
 * administrator of the Mesh has signed, and the card that is made of it.
 */

const contactTags = defineTags('own contact', { Contact });

/** The name under which the account introduces itself; empty where none was set, or no administrator has signed it. */
export async function ownName(device: Device): Promise<string> {
  const found = await ownEntry(device);
  if (found === undefined) return '';
  try {
    const keys = await device.session.administrationKeys();
    const envelope = openEnvelope(found.signed);
    await verifyEnvelope(envelope, (kid) => keys.find(({ udf }) => udfEquals(udf, kid)));
    const { payload } = envelope;
    return decodeTagged(contactTags, payload ?? new Uint8Array(0), { form: 'json' }).value.FullName ?? '';
  } catch {
    // Nobody's word is taken for the owner's.
    return '';
  }
}

async function ownEntry(device: Device) {
  for (const { body, frameIndex } of await contactEntries(device)) {
    const own = readOwnContact(body);
    if (own !== undefined) return { ...own, frameIndex };
  }
  return undefined;
}

/** Sets the name under which the account introduces itself. @throws ClientError `usage` where this device does not administer */
export async function setOwnName(device: Device, name: string): Promise<void> {
  const { session } = device;
  const { keys, environment, state, home } = session;
  const signer = keys.key('meshOnline');
  await requireNoEvidence(home);
  await syncAccount(device, [contactCatalog]);
  const known = await ownEntry(device);
  const contact: Contact = { FullName: name, Addresses: [contactAddress(state.address)] };
  const payload = encodeTagged(Contact, contact, 'json');
  const signed = signEnvelope({ payload, contentMeta: { cty: itemContentType }, keys: [signer] });
  const key = known?.key ?? nonceUdf(environment.random);
  const body = encryptBody(session, ownContactBody(key, signed));
  await placeContact(device, state.address, [{ name: state.address, uniqueId: key, body, base: known?.frameIndex }]);
}

/** The card of this account, signed by this device, with the name that was set. */
export async function ownCard(device: Device): Promise<EnvelopeOctets> {
  const { state, identity, keys } = device.session;
  return makeCard({
    ...{ address: state.address, name: await ownName(device), signer: keys.key('connectionSignature') },
    ...{ connectionAccount: identity.connectionAccount, profileAccount: identity.profileAccount },
  });
}
