/** The process of a relay: told what to relay by its parent, ends with it. A slow line must not wait for a busy event loop. */
import { type RelayPlan, startRelay } from './relay.js';

/** To the parent: the port, where one was opened, or why not. */
export type RelayReport = { readonly port: number | undefined } | { readonly error: string };

process.once('message', (plan: RelayPlan) => {
  const report = (what: RelayReport): void => void process.send?.(what);
  startRelay(plan).then(
    (relay) => {
      process.once('disconnect', () => relay.stop());
      report({ port: relay.port });
    },
    (error: Error) => report({ error: error.message }),
  );
});
