/** Times for people: in UTC, to the minute, and how far away they are. */

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** `2026-11-23 16:44`, UTC. */
export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ');
}

/** `2026-11-23T16:44:05.000Z`; null for a time that is not known, as JSON has it. */
export function isoTime(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString();
}

/** `12 s`, `4 min`, `3 h 20 min`, `2 d 4 h`. */
export function durationText(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < minuteMs) return `${Math.round(ms / secondMs)} s`;
  if (ms < hourMs) return `${Math.round(ms / minuteMs)} min`;
  const [unitMs, unit, smallerMs, smaller] = ms < dayMs ? [hourMs, 'h', minuteMs, 'min'] : [dayMs, 'd', hourMs, 'h'];
  const whole = Math.floor(ms / (unitMs as number));
  const rest = Math.floor((ms % (unitMs as number)) / (smallerMs as number));
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${smaller}`;
}
