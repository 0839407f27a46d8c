/**
 * Connecting a device to a Mesh: the computations that both ends make, each from what it has verified itself (S51).
 *
 * - `transcript.ts` what a connection request, its commitment and its acknowledgement come to, and the two short codes
 *   that a person carries from one device to the other (S50, S53).
 * - `pin.ts` a PIN made, stretched, and what it proves in each direction (S54).
 * - `offer.ts` the invitation to a device whose EARL somebody has scanned, and the PIN that follows from it (S56).
 * - `overlay.ts` the second halves of a device's keys: drawn by the administrator, added by the device (S13, S52).
 *
 * Nothing here speaks with a service or keeps a file; randomness comes in.
 */
export {};
