/** The provider under test: the only thing of the project that this suite uses. */
import { startTestProvider, type TestProvider, type TestProviderOptions } from '@meshd/dev/test-provider';
import { Peer } from './peer.js';
import { closeConnections } from './wire.js';

export interface Running {
  readonly provider: TestProvider;
  readonly peer: Peer;
  stop(): Promise<void>;
}

/** Starts one that serves `example.com` and `b.example`, with room for many signed refusals from one address. */
export async function startProvider(options: TestProviderOptions = {}): Promise<Running> {
  const provider = await startTestProvider({
    domains: ['example.com', 'b.example'],
    ...options,
    router: { sourceLimits: { signedRefusalsPerSecond: 1000 }, ...options.router },
  });
  try {
    const peer = await Peer.meet(provider, provider.domain);
    const stop = async (): Promise<void> => {
      closeConnections();
      await provider.stop();
    };
    return { provider, peer, stop };
  } catch (error) {
    await provider.stop();
    throw error;
  }
}
