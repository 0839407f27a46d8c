/**
 * Connecting a device to a Mesh: the computations that both ends make, each from what it has verified itself (S51).
 *
 * - `transcript.ts` what a connection request, its commitment and its acknowledgement come to, and the two short codes
 *   that a person carries from one device to the other (S50, S53).
 * - `pin.ts` a PIN made, stretched, and what it proves in each direction (S54).
 * - `earl.ts` the code on a device, and what is published of the device under it; `offer.ts` the invitation to a device whose
 *   code somebody has scanned, and the PIN that follows from it (S56); `offer-message.ts` the message that carries it.
 * - `asking.ts`, `grant.ts`, `acceptance.ts` what a device sends, what an administrator makes of it, what the device takes.
 * - `overlay.ts` the second halves of a device's keys: drawn by the administrator, added by the device (S13, S52).
 *
 * - `asked-file.ts`, `opened-file.ts`, `hailing-file.ts` what devices at either end remember meanwhile.
 *
 * Nothing here speaks with a service; randomness comes in.
 */
export {};
