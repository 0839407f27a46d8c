/** `npm run bench [-- NAME…]`: measures all figures, or those named, and prints one JSON line each on standard output. */
import { controllerGoodput, controllerLate } from './controller.bench.ts';
import { decodeUpload, jsonBDecode } from './decode.bench.ts';
import { connectPin, firstSync, searchCredentials } from './devices.bench.ts';
import { downloadFrames, downloadMemory } from './download.bench.ts';
import { type Figure, measure } from './harness.ts';
import { rankKnownRecipient } from './known-recipient.bench.ts';
import { merkleAppend } from './merkle-append.bench.ts';
import { post4kPostfix, post64kPostfix } from './messages.bench.ts';
import { post1000Destinations, postBesideBlackHole, postBesideBlackHoleP99, postLink10mbit } from './outbound.bench.ts';
import { stopBenchProvider } from './provider/bench-provider.ts';
import {
  downloadNewestJsonB,
  downloadPageMillion,
  proofMillion,
  resyncUnchanged,
  statusMillion,
  statusTicket,
  stopBenchDevices,
  uploadSingleTicket,
} from './sync.bench.ts';
import { uploadBatch, uploadSingle } from './upload.bench.ts';
import { verifyEnvelopes } from './verify-envelopes.bench.ts';

const figures: readonly Figure[] = [
  ...[verifyEnvelopes, decodeUpload, jsonBDecode, merkleAppend],
  ...[uploadSingle, uploadBatch, downloadFrames, downloadMemory],
  ...[statusTicket, uploadSingleTicket, downloadNewestJsonB, resyncUnchanged],
  ...[statusMillion, downloadPageMillion, proofMillion],
  ...[connectPin, firstSync, searchCredentials],
  ...[post4kPostfix, post64kPostfix, postLink10mbit, post1000Destinations, rankKnownRecipient],
  ...[controllerGoodput, controllerLate],
  // Last: what waits for the black hole goes on waiting.
  ...[postBesideBlackHole, postBesideBlackHoleP99],
];

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !figures.some((figure) => figure.name === name));
if (unknown.length > 0) {
  console.error(`bench: no figure ${unknown.join(', ')}; there are ${figures.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
try {
  for (const figure of figures) {
    if (wanted.length > 0 && !wanted.includes(figure.name)) continue;
    console.error(`· measuring ${figure.name}`);
    try {
      console.log(JSON.stringify(await measure(figure)));
    } catch (error) {
      // The others can still be measured; the exit code says that one is missing.
      console.error(`bench: ${figure.name} could not be measured:`, error);
      process.exitCode = 1;
    }
  }
} finally {
  await stopBenchDevices();
  await stopBenchProvider();
}
