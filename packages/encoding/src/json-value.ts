/**
 * A value of any shape. Integers are exact over int64: a number where it is safe, else a bigint. Octets occur only in
 * values of JSON-B; JSON has them as base64url strings.
 */
export type JsonValue = null | boolean | number | bigint | string | Uint8Array | JsonValue[] | JsonObject;

/** An object read from outside. It has no prototype, so that no member name means more than it says. */
export interface JsonObject {
  [name: string]: JsonValue;
}

/** The smallest and largest integer of the encodings. */
export const int64Min = -(2n ** 63n);
export const int64Max = 2n ** 63n - 1n;

/** An integer as a number where that is exact. */
export function narrow(integer: bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
