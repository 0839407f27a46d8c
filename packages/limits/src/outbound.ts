/*
 * Bounds of the outbound worker (semantics 8.1, 8.4; design 6). What concerns both services stands in `limits.ts`, what the
 * shard keeps in `outbox.ts`.
 */

const mebibyte = 1024 * 1024;
const second = 1000;

/** Posts in work at one worker, all destinations together. */
export const outboundPostsMax = 256;
/** Posts in work for one destination at one worker, whatever the controller finds. */
export const outboundPostsPerDestinationMax = 64;
/** Samples that the controller of a destination looks back at … */
export const controllerSamplesMax = 100;
/** … how many it wants before it judges … */
export const controllerSamplesMin = 20;
/** … how many where few are in work: 90 % of fewer would be none … */
export const controllerSamplesFewMin = 8;
/** … and how far back they may lie (semantics 8.4). */
export const controllerWindowMs = 30 * second;
/** Posts in work that a destination begins with, before anything is known of it. */
export const controllerLimitStart = 4;
/** After lowering nothing is raised for this long: what was too much a moment ago still is. */
export const controllerHoldMs = 10 * second;
/** Messages are gathered into one Post as far as it is likely to take this long: well below what slows the controller. */
export const postTargetMs = 500;
/** … and never beyond this, whatever the line: half of what a decoded Post may have. */
export const postBytesMax = mebibyte;
/** Destinations whose line a worker remembers; what is forgotten begins anew. */
export const linesKnownMax = 10_000;
/** Destinations to which a worker keeps connections; idle ones close by themselves, a destination costs some kilobytes. */
export const peersConnectedMax = 2048;
/** A lane that found no free slot of its destination looks again after this, if nobody woke it before. */
export const laneParkedMs = 5 * second;
/** A lane that a worker is not to begin with now, since it stops or has it in work, is looked at again after this. */
export const laneBusyMs = second;
/** A worker stays with one lane for this long at most while others wait. */
export const laneTurnMsMax = 2 * second;
/** What a worker says to a shard is repeated for this long: a shard that starts again costs no second delivery. */
export const settleMsMax = 10 * second;
/** Between two looks for domains whose pin is wanted. */
export const peerSweepMs = second;
/** Between two looks for lanes without a wake-up. */
export const outboxSweepMs = 10 * second;
