/**
 * One module a transaction, named as it. Each takes values of its own types and the shard's context, and returns a result
 * or throws a MeshError; how they travel is for `rpc-server.ts`.
 */
export {};
