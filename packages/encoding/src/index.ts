/**
 * Octets and text, nothing above: Base32, base64url, tolerant JSON, JSON-B, and the codec that reads and writes objects by table.
 *
 * `token-reader` and `token-writer` walk one buffer token by token, in either encoding. Everything else stands on them:
 * `codec` turns tables of fields into typed objects (what the protocol uses), `json-reader` and `json-writer` read and write
 * values of any shape (tools, tests), `transcode` copies a value from one encoding to the other. `base32` and `base64url`
 * are the two text forms of octets. Every refusal is an `EncodingError` of `errors`.
 */
export {};
