/** What a device may do, as a command line says it. */
import type { Permission } from '@meshd/schema/connections';
import { UsageError } from './command-io.js';

/** `STORE` or `STORE:read`, with commas between them; none: every store. @throws UsageError */
export function permissionsOf(text = ''): Permission[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map((each) => {
      const [, name, role] = /^([A-Za-z0-9_-]{1,64})(?::(read|write))?$/.exec(each) ?? [];
      if (name === undefined) throw new UsageError(`--permissions takes STORE or STORE:read, with commas, not ${each}`);
      return role === undefined ? { Name: name } : { Name: name, Role: role };
    });
}
