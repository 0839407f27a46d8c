/** Following the files of a folder: they are renewed while the process runs, and are taken without a restart. */
import { type FSWatcher, watch } from 'node:fs';
import { fileLookMs, filesSettleMs } from '@meshd/limits/limits';

/**
 * Calls `reload` a moment after something in the folder changed, and now and then in any case: mounted folders do not
 * always report changes.
 *
 * @param reload must not reject
 * @returns ends it
 */
export function followFolder(directory: string, reload: () => Promise<void>, pollMs = fileLookMs): () => void {
  let settling: NodeJS.Timeout | undefined;
  const soon = () => {
    clearTimeout(settling);
    settling = setTimeout(() => void reload(), filesSettleMs).unref();
  };
  const polling = setInterval(() => void reload(), pollMs).unref();
  const watcher = tryWatch(directory, soon);
  return () => {
    clearInterval(polling);
    clearTimeout(settling);
    watcher?.close();
  };
}

/** Some file systems cannot be watched; polling is enough then. */
function tryWatch(directory: string, onEvent: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, onEvent);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}
