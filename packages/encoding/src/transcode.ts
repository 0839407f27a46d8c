import { TokenReader } from './token-reader.js';
import { type Form, TokenWriter } from './token-writer.js';

/**
 * One value from one encoding to the other (or to its plain form in the same one: no white space, no raw control characters,
 * shortest lengths). Octets become base64url strings in JSON; the way back needs a schema, so strings stay strings.
 *
 * @throws EncodingError if the input is not one value of its encoding.
 */
export function transcode(octets: Uint8Array, from: Form, to: Form): Uint8Array {
  const reader = new TokenReader(octets, { binary: from === 'json-b' });
  const writer = new TokenWriter(to);
  copyValue(reader, writer);
  reader.end();
  return writer.finish();
}

/** Copies the next value of a reader to a writer, whatever their encodings. */
export function copyValue(reader: TokenReader, writer: TokenWriter): void {
  switch (reader.peek()) {
    case 'object':
      copyObject(reader, writer);
      return;
    case 'array':
      reader.enterArray();
      writer.beginArray();
      while (reader.nextElement()) copyValue(reader, writer);
      writer.endArray();
      return;
    case 'string':
      writer.string(reader.string());
      return;
    case 'binary':
      writer.binary(reader.binary());
      return;
    case 'number': {
      const value = reader.number();
      if (typeof value === 'bigint') writer.integer(value);
      else writer.number(value);
      return;
    }
    case 'boolean':
      writer.boolean(reader.boolean());
      return;
    case 'null':
      reader.tryNull();
      writer.null();
  }
}

function copyObject(reader: TokenReader, writer: TokenWriter): void {
  reader.enterObject();
  writer.beginObject();
  const seen = reader.refuseRepeated ? new Set<string>() : undefined;
  for (let name = reader.nextMember(); name !== undefined; name = reader.nextMember()) {
    if (seen?.has(name)) reader.failRepeated(name);
    seen?.add(name);
    writer.name(name);
    copyValue(reader, writer);
  }
  writer.endObject();
}
