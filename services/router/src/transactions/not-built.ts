/** Transactions that are known and not built yet: 501 to whoever was authenticated (semantics 3). */
import { MeshError } from '@meshd/schema/status';

/** Refuses with 501. */
export const notBuilt = async (): Promise<never> => {
  throw new MeshError('not-implemented');
};
