/** Milliseconds since 1970-01-01 UTC. Passed in wherever time decides something, so that tests can set it. */
export type Clock = () => number;

/** The system's clock. */
export const systemClock: Clock = () => Date.now();
