/**
 * What the Mesh says: every object of the protocol as one table, and the rules that hold for them wherever they occur.
 *
 * Objects: `protocol` (requests and responses with their registries) stands on `common`; `keys`, `profiles`, `connections`,
 * `catalog`, `messages-mesh` are the objects inside envelopes; `service` has the records that services keep or sign, `large`
 * what is kept under an EARL. Rules: `status` is the one registry of statuses and errors, `address` and
 * `container-name` the two grammars of names, `publication` what can be published under which name, `features` the words by which peers say what they understand, and
 * `profile-check` verifies profiles, account and connection assertions.
 */
export {};
