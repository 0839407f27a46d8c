/**
 * Data at rest of the Mesh: DARE envelopes and containers (encoding rules 2 and 3, security rules S02, S03, S40 to S49,
 * S60, S61). No input or output, no clock, no global randomness.
 *
 * - `envelope-octets` is an envelope as it is stored and forwarded, `envelope` opens it, `header` has its tables.
 * - `sign` makes signed envelopes, `verify` is the only maker of `VerifiedEnvelope`.
 * - `encrypt`, `decrypt` (over `content-cipher`, `recipients`, `annotations`) keep bodies secret in the order of S61.
 * - `merkle` is the tree and chain rule of DARE, `log-tree` the RFC 6962 tree with proofs; both append from O(log n) state.
 * - `erased-header` is what stays of a header when the body is removed for good.
 * - `core`, `manifest`, `batch` say and sign who wrote what where; `replay` is the reader that checks it.
 * - `sealed-file` is how files too large for an envelope are sealed, slice by slice.
 * - `container-frame`, `container-file` are the file form of a container.
 */
export {};
