/**
 * One person's whole story, from the first account to the last move, with two providers and five devices: told by the command
 * line, then through the client library, and in the end everything is searched that the services have kept of it.
 */
import { afterAll, beforeAll } from 'vitest';
import { tellByCommandLine } from './by-command-line.scenes.js';
import { tellThroughLibrary } from './by-library.scenes.js';
import { type Stage, setStage, stepMs } from './stage.js';
import { searchWhatIsKept } from './what-is-kept.scenes.js';

let set: Stage;
const stage = () => set;
beforeAll(async () => {
  set = await setStage();
}, stepMs);
afterAll(() => set?.stop(), stepMs);

tellByCommandLine(stage);
tellThroughLibrary(stage);
searchWhatIsKept(stage);
