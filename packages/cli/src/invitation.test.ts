import { firstStatusMsMax } from '@meshd/limits/hailing';
import { describe, expect, it } from 'vitest';
import { followInvitation, invitationText } from './invitation.js';

const invited = { description: 'lamp', deviceUdf: 'MLMP', expiresMs: 1000 + 7 * 86_400_000 };

/** Follows a device that asks and shows itself after some time, in milliseconds; never: undefined. */
async function follow(asksAfterMs: number | undefined, showsAfterMs?: number) {
  let nowMs = 1000;
  const isPast = (afterMs: number | undefined) => afterMs !== undefined && nowMs - 1000 >= afterMs;
  const clock = {
    nowMs: () => nowMs,
    // A device that never comes is waited for during a week.
    pause: async (durationMs: number) => {
      nowMs += asksAfterMs === undefined ? durationMs * 1000 : durationMs;
    },
  };
  const outcome = await followInvitation(clock, invited, {
    accept: async () => isPast(asksAfterMs),
    hasShownItself: async () => isPast(showsAfterMs),
    note: () => undefined,
  });
  return { outcome, tookMs: nowMs - 1000, text: invitationText(invited, outcome) };
}

describe('[S57] an invited device', () => {
  it('is told of once its first Status has come', async () => {
    const { outcome, text } = await follow(5000, 9000);
    expect(outcome).toEqual({ connected: true, shown: true });
    expect(text).toMatch(/first Status has come/);
  });

  it('is warned of where none comes within ten minutes', async () => {
    const { outcome, text, tookMs } = await follow(0);
    expect(outcome).toEqual({ connected: true, shown: false });
    expect(tookMs).toBe(firstStatusMsMax);
    expect(text).toMatch(/warning: .*no Status/);
    expect(text).toMatch(/mesh device revoke MLMP/);
  });

  it('is given up when it would not take the offer any more', async () => {
    const { outcome, text } = await follow(undefined);
    expect(outcome).toEqual({ connected: false, shown: false });
    expect(text).toMatch(/has not come/);
  });
});
