/**
 * `mesh-sink`: another service, as a host of its own domain, that takes messages; for trying out how a provider behaves when
 * the one at the other end does not.
 *
 * `behaviour.ts` names all ways to be awkward. `honest-answer.ts` says what a service should answer and who wrote the
 * messages; `spoil.ts` makes something else of it, `deliver.ts` puts it on the wire, as awkwardly as told. `tally.ts` counts
 * what came. `sink.ts` is the server, `control.ts` the address at which it is told and asked, `program.ts` the command.
 *
 * It judges what a request proves by itself: a true signature of some host. It knows no pins and asks nobody, so it is no
 * service that anybody should send a secret to.
 */
export {};
