import { incidentTextMax } from '@meshd/limits/requesters';
import type { NoteIncident } from '@meshd/rpc/generated/meshd/shard/v1/shard';
import { MeshError } from '@meshd/schema/status';
import type { ShardContext } from '../context.js';
import { routerIncidents } from './incident-tally.js';

/**
 * Notes what a router has refused (R030): it has no database of its own. A record is signed with the shard's key, so it holds
 * nothing but known kinds and short texts, whatever a router says.
 *
 * @throws MeshError `malformed`
 */
export function noteRouterIncident({ incidents, clock }: ShardContext, said: NoteIncident): void {
  const kind = routerIncidents.find((each) => each === said.kind);
  const texts = [said.by, said.account, said.detail];
  if (
    kind === undefined ||
    said.by === '' ||
    texts.some((text) => text.length > incidentTextMax || /\p{Cc}/u.test(text))
  ) {
    throw new MeshError('malformed', 'no incident of a router');
  }
  incidents.note(
    { kind, by: said.by, account: said.account, detail: said.detail, times: Math.max(1, said.times) },
    clock(),
  );
}
