/** Files for a user other than ourselves: Postgres refuses to run as root, so as root we run it as nobody. */
import { chown, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A user of the system, by numbers. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The user without rights that every Unix has. */
const nobody: User = { uid: 65534, gid: 65534 };

/** As whom we run what refuses root: nobody when we are root, else ourselves (undefined). */
export function serverUser(): User | undefined {
  return process.getuid?.() === 0 ? nobody : undefined;
}

/** Whether a user may pass through every folder above a path. Owner, group and other bits are looked at, no more. */
export async function isReachable(path: string, user: User | undefined): Promise<boolean> {
  if (user === undefined) return true;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const info = await stat(folder).catch(() => undefined);
    // a folder that is not there yet is made by us, for everybody to pass through
    if (info !== undefined && !mayPass(info, user)) return false;
    if (folder === dirname(folder)) return true;
  }
}

function mayPass(info: { mode: number; uid: number; gid: number }, user: User): boolean {
  if (info.uid === user.uid) return (info.mode & 0o100) !== 0;
  if (info.gid === user.gid) return (info.mode & 0o010) !== 0;
  return (info.mode & 0o001) !== 0;
}

/** Makes a folder that belongs to a user alone. */
export async function makeOwnFolder(path: string, user: User | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
  if (user !== undefined) await chown(path, user.uid, user.gid);
}
