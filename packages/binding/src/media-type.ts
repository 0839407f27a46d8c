/** Media types of bodies (encoding 4.3). */

import { mediaTypeJson, mediaTypeJsonB } from '@meshd/schema/features';

/** Encoding of a body and of the envelope payload in it. */
export type BodyForm = 'json' | 'json-b';

/** The type that a body of this form is labelled with. */
export const mediaTypeOf: Readonly<Record<BodyForm, string>> = {
  json: mediaTypeJson,
  'json-b': mediaTypeJsonB,
};

/** Forms that are served. */
const formsServed: ReadonlyMap<string, BodyForm> = new Map([
  [mediaTypeOf.json, 'json'],
  [mediaTypeOf['json-b'], 'json-b'],
]);

/**
 * Reads a `Content-Type` value: matched without case; the only parameter taken is `charset=utf-8`.
 *
 * @returns the form of the body; undefined for a missing type and for one that is not served
 */
export function parseMediaType(value: string | undefined): BodyForm | undefined {
  if (value === undefined) return undefined;
  const [type = '', ...parameters] = value.split(';').map((part) => part.trim().toLowerCase());
  const utf8 = (parameter: string) => /^charset\s*=\s*(?:utf-8|"utf-8")$/.test(parameter);
  return parameters.every(utf8) ? formsServed.get(type) : undefined;
}
