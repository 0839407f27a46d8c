/**
 * The code octets of JSON-B (encoding 4.1). A code with a length is base + n for a length of 1, 2, 4, 8 octets, n = 0..3.
 * Codes of JSON-C and JSON-D, of 128 bit numbers and of container frames have no name here: they are refused.
 */
export const codeString = 0x80;
export const codeStringChunk = 0x84;
export const codeBinary = 0x88;
export const codeBinaryChunk = 0x8c;
export const codeFloat16 = 0x90;
export const codeFloat32 = 0x91;
export const codeFloat64 = 0x92;
export const codeInteger = 0xa0;
export const codeNegative = 0xa8;
export const codeTrue = 0xb0;
export const codeFalse = 0xb1;
export const codeNull = 0xb2;
export const codeName = 0xb4;

/** Bits of a code that do not say how long its length is. */
export const codeMask = 0xfc;

/** Octets of an item of octets: its code, its length in the fewest octets of 1, 2, 4, and what it holds. */
export function binaryItemBytes(bytes: number): number {
  return bytes + (bytes <= 0xff ? 2 : bytes <= 0xffff ? 3 : 5);
}
