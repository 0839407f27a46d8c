/**
 * Keys, digests and names: everything cryptographic that the Mesh needs, and nothing about what is signed or why.
 *
 * - `digest`, `hkdf`, `key-wrap`, `random`: the building blocks, thin over node:crypto.
 * - `udf`, `key-seed`, `secret-share`, `key-udf`: Uniform Data Fingerprints, from text to text.
 * - `ed448`: the only maker of public keys (import check S10), signing and verifying, in this thread or in the pool.
 *   It stands on `ed448-point` (arithmetic, import check, agreement S12) and `ed448-scalar` (signing with a bare scalar).
 * - `combined-key` (S13), `x448`, `ed25519`: the other key shapes. `raw-key`: one door to all curves for tools.
 * - `key-file`: the JSON file in which a secret key rests.
 *
 * Native code does all work under load; bigint arithmetic is left for what OpenSSL has not: import checks (once a
 * key), 56-octet seeds, combined keys and agreement on Edwards curves, which only clients do.
 */
export {};
