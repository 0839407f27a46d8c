/** Figures of several processes as one document. */

interface Family {
  /** `# HELP` and `# TYPE`, which may stand only once in a document. */
  readonly comments: string[];
  readonly samples: string[];
}

/**
 * Puts the figures of several processes together: families with the same name become one, and each sample gets a label
 * `process` that says whose it is.
 *
 * @param parts each process's own document, in Prometheus's text form
 */
export function mergeMetrics(parts: readonly { readonly process: string; readonly text: string }[]): string {
  const families = new Map<string, Family>();
  for (const { process, text } of parts) {
    let family: Family | undefined;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      const name = /^# (?:HELP|TYPE) (\S+)/.exec(line)?.[1];
      if (name === undefined) family?.samples.push(label(line, process));
      else {
        family = families.get(name) ?? { comments: [], samples: [] };
        families.set(name, family);
        if (!family.comments.includes(line)) family.comments.push(line);
      }
    }
  }
  return [...families.values()].flatMap(({ comments, samples }) => [...comments, ...samples, '']).join('\n');
}

/** `a 1` becomes `a{process="p"} 1`, `a{b="c"} 1` becomes `a{process="p",b="c"} 1`. */
function label(line: string, process: string): string {
  const end = line.search(/[{\s]/);
  const name = line.slice(0, end);
  const rest = line.slice(end);
  const own = `process="${process}"`;
  return rest.startsWith('{') ? `${name}{${own},${rest.slice(1)}` : `${name}{${own}}${rest}`;
}
