import type { JsonObject, JsonValue } from './json-value.js';
import { type ReaderOptions, TokenReader } from './token-reader.js';

/**
 * A value of any shape from JSON text, or from JSON-B with `binary`. Without it octets stay base64url strings, since
 * nothing but a schema tells the two apart.
 *
 * @throws EncodingError for anything that is not one value and white space.
 */
export function parseJson(octets: Uint8Array, options: ReaderOptions = {}): JsonValue {
  const reader = new TokenReader(octets, options);
  const value = readValue(reader);
  reader.end();
  return value;
}

/** The next value of a reader, of any shape. Recursion ends at the reader's depth limit. */
export function readValue(reader: TokenReader): JsonValue {
  switch (reader.peek()) {
    case 'object':
      return readObject(reader);
    case 'array': {
      const elements: JsonValue[] = [];
      reader.enterArray();
      while (reader.nextElement()) elements.push(readValue(reader));
      return elements;
    }
    case 'string':
      return reader.string();
    case 'binary':
      return reader.binary();
    case 'number':
      return reader.number();
    case 'boolean':
      return reader.boolean();
    case 'null':
      reader.tryNull();
      return null;
  }
}

function readObject(reader: TokenReader): JsonObject {
  const object: JsonObject = Object.create(null);
  reader.enterObject();
  for (let name = reader.nextMember(); name !== undefined; name = reader.nextMember()) {
    if (reader.refuseRepeated && name in object) reader.failRepeated(name);
    object[name] = readValue(reader);
  }
  return object;
}
