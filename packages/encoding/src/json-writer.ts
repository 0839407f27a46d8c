import type { JsonValue } from './json-value.js';
import { TokenWriter } from './token-writer.js';

/**
 * A value as JSON text, no white space; octets as base64url strings.
 *
 * @throws EncodingError `range` for numbers without a JSON form, `alphabet` for lone surrogates.
 */
export function writeJson(value: JsonValue): Uint8Array {
  const writer = new TokenWriter('json');
  writeValue(writer, value);
  return writer.finish();
}

/** A value as JSON-B in the one form of encoding 4.3. Throws as `writeJson`. */
export function writeJsonB(value: JsonValue): Uint8Array {
  const writer = new TokenWriter('json-b');
  writeValue(writer, value);
  return writer.finish();
}

/** Writes a value of any shape. */
export function writeValue(writer: TokenWriter, value: JsonValue): void {
  if (value === null) writer.null();
  else if (typeof value === 'string') writer.string(value);
  else if (typeof value === 'number') writer.number(value);
  else if (typeof value === 'bigint') writer.integer(value);
  else if (typeof value === 'boolean') writer.boolean(value);
  else if (value instanceof Uint8Array) writer.binary(value);
  else if (Array.isArray(value)) {
    writer.beginArray();
    for (const element of value) writeValue(writer, element);
    writer.endArray();
  } else {
    writer.beginObject();
    for (const [name, member] of Object.entries(value)) {
      writer.name(name);
      writeValue(writer, member);
    }
    writer.endObject();
  }
}
