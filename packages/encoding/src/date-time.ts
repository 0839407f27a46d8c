import { EncodingError } from './errors.js';

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * An RFC 3339 date and time, any offset, any fraction (cut to milliseconds). A leap second is read as the second after it.
 *
 * @throws EncodingError `type` for anything else, days that a month does not have included.
 */
export function parseDateTime(text: string): Date {
  const match = rfc3339.exec(text);
  if (match === null) throw new EncodingError('type', 'not an RFC 3339 date and time');
  const part = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day] = [part(1), part(2), part(3)];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const dayExists = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const timeExists = part(4) < 24 && part(5) < 60 && part(6) <= 60;
  const offsetExists = part(9) < 24 && part(10) < 60;
  if (!dayExists || !timeExists || !offsetExists) throw new EncodingError('type', 'no such date or time');
  const offsetMinutes = (match[8] === '-' ? -1 : 1) * (part(9) * 60 + part(10));
  const milliseconds = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  date.setUTCHours(part(4), part(5) - offsetMinutes, part(6), milliseconds);
  return date;
}

/**
 * The only form we write: UTC, whole seconds (encoding 5).
 *
 * @throws EncodingError `range` for years outside 0000 to 9999 and for an invalid date.
 */
export function formatDateTime(date: Date): string {
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) throw new EncodingError('range', 'date outside the years 0000 to 9999');
  return `${date.toISOString().slice(0, 19)}Z`;
}
