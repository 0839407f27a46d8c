/** Why an attempt at another service failed, for people: workers write it down in one word. */
import { statusCodes, statusRegistry } from '@meshd/schema/status';

const texts: Readonly<Record<string, string>> = {
  transport: 'cannot connect, or the connection broke',
  timeout: 'no answer in time',
  'response-too-large': 'the answer is too large',
  'response-form': 'the answer is no Mesh response',
  'unsigned-error': 'an error that nobody signed for',
  'response-refused': 'the answer proves nothing',
  'host-refused': 'the host does not belong to the service',
  'pin-mismatch': 'it is another service than before',
  'feature-missing': 'it no longer offers what it must',
  'discovery-none': 'the domain has no Mesh service',
  'discovery-refused': 'the domain says that it has no Mesh service',
  'discovery-failed': 'the name servers do not answer',
  'discovery-private': 'its DNS points to a private address',
  'discovery-unfit': 'it speaks another version or encoding',
};

/** The word in a sentence; a word that is not known here is shown as it is. */
export function failureText(word: string): string {
  const known = texts[word];
  if (known !== undefined) return known;
  const status = /^status-(\d{3})$/.exec(word)?.[1];
  if (status !== undefined) return `it answers ${status}`;
  const code = statusCodes.find((each) => each === word);
  return code === undefined ? word : statusRegistry[code].description.toLowerCase();
}
