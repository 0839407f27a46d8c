/** The time. The only place that asks the system for it: everything else is handed a clock, or the time itself. */

/** Tells the time, milliseconds since 1970. */
export type Clock = () => number;

/** The system's clock. */
export const systemClock: Clock = () => Date.now();
