/** `mesh-load`: loads for a provider, each with a verdict. */
import type { ProgramShape } from '@meshd/cli/program';
import { registerDraftTargets } from './draft-targets/program.js';

/** The command line. */
export const meshLoadShape: ProgramShape = {
  name: 'mesh-load',
  description: 'Loads a provider and judges how it bears that.',
  hasHome: false,
  register: registerDraftTargets,
};
