import type { ServiceLocator } from '@meshd/binding/discovery/service-locator';
import type { BodyForm } from '@meshd/binding/media-type';
import type { CallOptions, VerifiedHello, VerifiedResponse } from '@meshd/binding/mesh-connection';
import type { RequestSigner } from '@meshd/binding/request-sign';
import { type Random, systemRandom } from '@meshd/crypto/random';
import type { Feature } from '@meshd/schema/features';
import type { RequestOf, Transaction } from '@meshd/schema/protocol';

/** The way to one service: verified answers only. `MeshConnection` is one. */
export interface ServiceConnection {
  call<T extends Transaction>(
    transaction: T,
    message: RequestOf<T>,
    signers: readonly RequestSigner[],
    options?: CallOptions,
  ): Promise<VerifiedResponse<T>>;
  /** Whether the service names a feature in its verified Hello. */
  offers(word: Feature): Promise<boolean>;
  hello(): Promise<VerifiedHello>;
  close(): Promise<void>;
}

/** Where a service is, and what certificates to trust there. */
export interface ServiceLocation {
  readonly domain: string;
  /** `https` address; undefined where the domain says where its service is. */
  readonly url: string | undefined;
  readonly ca: string | undefined;
  /** The account is being carried from one service to another: requests say so. */
  readonly moves?: boolean | undefined;
}

/** What the device takes from the world besides files and the network. */
export interface ClientEnvironment {
  /** Milliseconds since 1970, UTC. */
  nowMs(): number;
  readonly random: Random;
  /** Told how far work has come: `done` of `total` in the unit that the label names. */
  progress(label: string, done: number, total: number): void;
  /** Waits; tests return at once. */
  pause(durationMs: number): Promise<void>;
  /** Encoding of requests; where absent JSON-B if the service takes it. */
  readonly form?: BodyForm | undefined;
  /** Finds services by their domains; where absent they are taken to be at the domain itself. */
  readonly locator?: ServiceLocator | undefined;
  /** Opens the way to a service; HTTPS under the pins of the home where absent. */
  connect?(service: ServiceLocation): ServiceConnection;
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

/** After so much work without a pause others get their turn: the progress display, signals. Some hundred milliseconds. */
const stepsWithoutPause = 64;

/** Tells how far long work has come, and lets timers run now and then: encryption itself never waits for anything. */
export async function showProgress(
  environment: ClientEnvironment,
  label: string,
  done: number,
  total: number,
): Promise<void> {
  environment.progress(label, done, total);
  if (done % stepsWithoutPause === 0) await environment.pause(0);
}
