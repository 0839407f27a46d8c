/** Requests that wait for a change (S83), by the shards' own figures: what a test waits for before it makes the change. */

/** How many wait now at the shards with these addresses of figures. */
export async function waitingRequests(adminUrls: readonly string[]): Promise<number> {
  const texts = await Promise.all(adminUrls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  const counts = texts.map((text) => Number(/shard_status_waits(?:{[^}]*})? (\d+)/.exec(text)?.[1]));
  return counts.reduce((sum, count) => sum + count, 0);
}
