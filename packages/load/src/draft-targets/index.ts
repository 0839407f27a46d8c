/**
 * `mesh-load draft-targets`: whether a provider keeps what the draft has in mind (7.1, 9.1.2.1; R176, R177): on a line of
 * 10 Mb/s twenty full messages a second, none of them taking five seconds.
 *
 * `run.ts` makes people and sends, `verdict.ts` judges, `program.ts` is the command.
 */
export {};
