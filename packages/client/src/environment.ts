import { type Random, systemRandom } from '@meshd/crypto/random';

/** What the device takes from the world besides files and the network. */
export interface ClientEnvironment {
  /** Milliseconds since 1970, UTC. */
  nowMs(): number;
  readonly random: Random;
  /** Told how far work has come: `done` of `total` in the unit that the label names. */
  progress(label: string, done: number, total: number): void;
  /** Waits; tests return at once. */
  pause(durationMs: number): Promise<void>;
}

/** The real clock and generator; `progress` is the caller's. */
export function systemEnvironment(progress: ClientEnvironment['progress'] = () => undefined): ClientEnvironment {
  return {
    nowMs: () => Date.now(),
    random: systemRandom,
    progress,
    pause: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
  };
}
