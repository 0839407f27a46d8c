/** Following the files of a host: a connection is renewed daily, and processes take the new one without a restart. */
import { followFolder } from './folder-watch.js';
import { type HostIdentity, loadHostIdentity } from './host-files.js';

/** What {@link watchHostIdentity} tells. */
export interface HostWatchOptions {
  /** After every change that loaded. */
  readonly onChange?: (identity: HostIdentity) => void;
  /** When changed files cannot be used; the ones before stay in force. */
  readonly onError?: (error: unknown) => void;
  /** Also looks this often, milliseconds: mounted folders do not always report changes. */
  readonly pollMs?: number;
}

/** A host identity that follows its files. */
export interface HostWatch {
  current(): HostIdentity;
  stop(): void;
}

/**
 * Loads the identity and follows its files.
 *
 * @throws BindingError `host-files` when the first load fails; later failures go to `onError`
 */
export async function watchHostIdentity(directory: string, options: HostWatchOptions = {}): Promise<HostWatch> {
  let identity = await loadHostIdentity(directory);
  const reload = async () => {
    try {
      const fresh = await loadHostIdentity(directory);
      if (sameIdentity(fresh, identity)) return;
      identity = fresh;
      options.onChange?.(fresh);
    } catch (error) {
      options.onError?.(error);
    }
  };
  const stop = followFolder(directory, reload, options.pollMs);
  return { current: () => identity, stop };
}

function sameIdentity(a: HostIdentity, b: HostIdentity): boolean {
  const same = (x: Uint8Array | null, y: Uint8Array | null) =>
    Buffer.compare(x ?? Buffer.alloc(0), y ?? Buffer.alloc(0)) === 0;
  return (
    a.signingKey.publicKey.equals(b.signingKey.publicKey) &&
    same(a.connectionHost.payload, b.connectionHost.payload) &&
    same(a.profileHost.payload, b.profileHost.payload) &&
    same(a.profileService.payload, b.profileService.payload)
  );
}
