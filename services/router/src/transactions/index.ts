/**
 * One file a transaction, named like it: typed message in, typed reply out. None of them parses JSON, touches HTTP or
 * builds SQL; `shared.ts` has what several need. Post comes from
 * devices (`post.ts`) and from other services (`post-foreign.ts`), within the same bounds (`post-bounds.ts`); Connect and
 * Complete from devices that are not connected yet (`asking-device.ts`).
 */
export {};
