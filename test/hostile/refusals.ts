/** What a device says of each of the six lies, word for word: the file of a lie holds the device to it. */

/** How a device refuses. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

const inauthentic = (why: string): Refusal => ({
  code: 'frame',
  message: `my_Notes at the service is not authentic: ${why}`,
});

/** By the lie that is refused so. */
export const refusals = {
  dropsFrame: inauthentic('frame 3 stands where frame 2 belongs: frame 2 is missing'),
  reorders: inauthentic('frame 2 stands where frame 1 belongs: the frames are in another order'),
  editsPayload: inauthentic('PayloadDigest is not the digest of the payload'),
  replaysOldHead: {
    code: 'rollback',
    message:
      'the service has 4 frames of my_Notes and this device has verified 5: it has lost or hides entries; keep this home as evidence',
  },
  forksTwoDevices: {
    code: 'fork',
    message: 'the service has signed two histories of my_Notes: stop using it and keep this home as evidence',
  },
  signsWithOtherKey: {
    code: 'pin',
    message:
      'the ConnectionHost does not hold: Signature of an enclosed object invalid: ConnectionHost: no signature by a trusted key',
  },
} as const satisfies Record<string, Refusal>;
