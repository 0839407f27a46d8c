/**
 * One file a transaction, named like it: typed message in, typed reply out. None of them parses JSON, touches HTTP or
 * builds SQL; `not-built.ts` answers for those that come later. `shared.ts` has what several need. Post comes from
 * devices (`post.ts`) and from other services (`post-foreign.ts`), within the same bounds (`post-bounds.ts`).
 */
export {};
