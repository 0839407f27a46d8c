/**
 * What people keep in their catalogs: passwords, bookmarks, networks, tasks.
 *
 * - `kinds.ts` the kinds: which catalog, which object, under which key, what is searched and shown.
 * - `opened-items.ts` the entries of a catalog, decrypted once and kept beside the replica.
 *
 * `operations/catalog-items.ts` has what a person asks for.
 */
export {};
