/** Posting what was prepared, and how long it took. */
import { framed, PostSocket, type Target } from './post-socket.ts';

/** What a run of prepared requests came to. */
export interface LoadResult {
  readonly seconds: number;
  readonly requests: number;
  /** Octets of all answers' bodies. */
  readonly answerBytes: number;
  /** Middle and slow end of the answers' times. */
  readonly milliseconds: { readonly median: number; readonly p99: number };
}

/**
 * Posts requests, each list over a socket of its own and one after the other, all lists at the same time.
 */
export async function postAll(prepared: readonly (readonly Uint8Array[])[], target: Target): Promise<LoadResult> {
  const requests = prepared.map((bodies) => bodies.map((body) => framed(body, target)));
  const sockets = await Promise.all(prepared.map(() => PostSocket.open(target)));
  const times: number[] = [];
  let answerBytes = 0;
  const start = performance.now();
  await Promise.all(
    requests.map(async (list, at) => {
      for (const request of list) {
        const sent = performance.now();
        const { bodyBytes } = await (sockets[at] as PostSocket).send(request);
        answerBytes += bodyBytes;
        times.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  for (const socket of sockets) socket.close();
  times.sort((left, right) => left - right);
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0;
  return { seconds, requests: times.length, answerBytes, milliseconds: { median: at(0.5), p99: at(0.99) } };
}
