import { envelope } from '@meshd/dare/envelope';
import { defineObject, defineTags, type ObjectOf, string } from '@meshd/encoding/codec';

/* Devices without display or keys (semantics 7.6). */

/** What a device is, and where it comes for its owner's word: published, encrypted under the key that its code shows. */
export const DeviceDescription = defineObject({
  name: 'DeviceDescription',
  fields: {
    EnvelopedProfileDevice: envelope,
    /** Canonical address of the account where the device hails, and its domain. */
    HailingServiceID: string,
    HailingDomain: string,
  },
});
export type DeviceDescription = ObjectOf<typeof DeviceDescription>;

/** Payloads of publications. */
export const descriptionRegistry = defineTags('description of a device', { DeviceDescription });
