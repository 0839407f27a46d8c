/**
 * How the services of one provider talk to each other: gRPC over mutual TLS.
 *
 * `proto/` holds the messages, `src/generated/` what buf and ts-proto make of them (`buf generate` in this folder; a test
 * compares). `credentials.ts` says who may talk to whom, `shard-client.ts` is the router's end of a connection to one
 * shard, `shard-server.ts` the shard's end, `gather.ts` the batching both share, `shard-wire.ts` the
 * generated service with serializers that are quick with large messages, `errors.ts` how calls fail. `slot-map.ts` says which shard owns an
 * account, `follow-map.ts` keeps that up to date, and `delivery-jobs.ts` is what shards and outbound workers say through the queue.
 */
export {};
