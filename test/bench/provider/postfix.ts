/**
 * Two Postfix instances of Debian's package: the first takes messages from `smtp-source` and relays them to the second over
 * mandatory TLS 1.3, which delivers them into a Maildir. All that is configured is where they are and what is asked of
 * TLS; durability, queueing and concurrency are as the package has them.
 */
import { execFile } from 'node:child_process';
import { access, chmod, chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureCertificates } from '@meshd/dev/certificates';
import { freePorts } from '@meshd/dev/ports';
import { waitFor } from '@meshd/dev/wait';

const run = promisify(execFile);

/** The two instances, running. */
export interface PostfixRelay {
  /**
   * Sends messages and waits for the last of them in the Maildir.
   *
   * @returns seconds from the first octet to the last file
   */
  relay(messages: { readonly count: number; readonly bytes: number }): Promise<number>;
  stop(): Promise<void>;
}

/** Why there are none. */
export interface NoPostfix {
  readonly skipped: string;
}

const programFolder = '/usr/sbin';
const distribution = '/usr/share/postfix/master.cf.dist';
const recipientDomain = 'postfix-b.test';
/** Sessions of `smtp-source` at once: as many as senders post to the other side. */
const sessionsAtOnce = 16;
const lookMs = 20;
const deliveryMsMax = 300_000;

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Ids of a system user. */
async function idsOf(user: string): Promise<{ uid: number; gid: number } | undefined> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((each) => each.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

interface Instance {
  readonly folder: string;
  readonly port: number;
}

/** Services as the package starts them, outside of a chroot, which would want copies of system files. */
async function masterText({ port }: Instance): Promise<string> {
  const lines = (await readFile(distribution, 'utf8')).split('\n').filter((line) => /^[a-z#]/.test(line));
  const wanted = lines.filter((line) => !line.startsWith('#') && /^\S+\s+(unix|inet|unix-dgram)\s/.test(line));
  return wanted
    .filter((line) => !/\bpipe\b/.test(line))
    .map((line) => {
      const [name, type, isPrivate, unprivileged, , ...rest] = line.split(/\s+/);
      const place = type === 'inet' ? `127.0.0.1:${port}` : name;
      return [place, type, isPrivate, unprivileged, 'n', ...rest].join(' ');
    })
    .join('\n');
}

async function configure(instance: Instance, members: Readonly<Record<string, string | number>>): Promise<void> {
  const { folder } = instance;
  const shared = {
    compatibility_level: '3.6',
    queue_directory: join(folder, 'spool'),
    data_directory: join(folder, 'data'),
    command_directory: programFolder,
    daemon_directory: '/usr/lib/postfix/sbin',
    mail_owner: 'postfix',
    setgid_group: 'postdrop',
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mydestination: '',
    mynetworks: '127.0.0.0/8',
    maillog_file: join(folder, 'mail.log'),
    maillog_file_prefixes: folder,
    alias_maps: '',
    local_recipient_maps: '',
  };
  const lines = Object.entries({ ...shared, ...members }).map(([name, value]) => `${name} = ${value}`);
  await mkdir(join(folder, 'etc'), { recursive: true });
  await mkdir(join(folder, 'spool'), { recursive: true });
  await mkdir(join(folder, 'data'), { recursive: true });
  const owner = await idsOf('postfix');
  if (owner !== undefined) await chown(join(folder, 'data'), owner.uid, owner.gid);
  await writeFile(join(folder, 'etc', 'main.cf'), `${lines.join('\n')}\n`);
  await writeFile(join(folder, 'etc', 'master.cf'), `${await masterText(instance)}\n`);
}

const command = (instance: Instance, name: string): Promise<unknown> =>
  run(join(programFolder, 'postfix'), ['-c', join(instance.folder, 'etc'), name], { env: { MAIL_CONFIG: '' } });

/**
 * Starts both below a folder that other users can enter.
 *
 * @returns a word where that cannot be done here
 */
export async function startPostfix(folder: string): Promise<PostfixRelay | NoPostfix> {
  const programs = ['postfix', 'smtp-source'].map((name) => join(programFolder, name));
  const found = await Promise.all([...programs, distribution].map(exists));
  if (found.includes(false)) return { skipped: 'Postfix is not installed' };
  // Its master must be able to become the users under which its parts run.
  if (process.getuid?.() !== 0) return { skipped: 'Postfix can be started by root only' };
  const nobody = await idsOf('nobody');
  if (nobody === undefined) return { skipped: 'there is no user to own a Maildir' };
  const [portA, portB] = (await freePorts(2)) as [number, number];
  const [a, b] = [
    { folder: join(folder, 'a'), port: portA },
    { folder: join(folder, 'b'), port: portB },
  ];
  const mail = join(folder, 'mail');
  await mkdir(mail, { recursive: true });
  await chown(mail, nobody.uid, nobody.gid);
  await chmod(folder, 0o755);
  const { server, caFile } = await ensureCertificates(join(folder, 'tls'), [recipientDomain], Date.now());
  await configure(a, {
    myhostname: 'postfix-a.test',
    relayhost: `[127.0.0.1]:${portB}`,
    smtp_tls_security_level: 'encrypt',
    smtp_tls_mandatory_protocols: '>=TLSv1.3',
    smtp_tls_CAfile: caFile,
  });
  await configure(b, {
    myhostname: recipientDomain,
    virtual_mailbox_domains: recipientDomain,
    virtual_mailbox_base: mail,
    virtual_mailbox_maps: `inline:{ box@${recipientDomain}=box/ }`,
    virtual_uid_maps: `static:${nobody.uid}`,
    virtual_gid_maps: `static:${nobody.gid}`,
    virtual_mailbox_limit: 0,
    smtpd_tls_security_level: 'encrypt',
    smtpd_tls_mandatory_protocols: '>=TLSv1.3',
    smtpd_tls_cert_file: server.certFile,
    smtpd_tls_key_file: server.keyFile,
  });
  for (const instance of [a, b]) await command(instance, 'start');
  const stop = async (): Promise<void> => {
    for (const instance of [a, b]) await command(instance, 'stop').catch(() => undefined);
  };
  const box = join(mail, 'box', 'new');
  const countFiles = async (): Promise<number> => ((await exists(box)) ? (await readdir(box)).length : 0);
  return {
    relay: async ({ count, bytes }) => {
      const before = await countFiles();
      const start = performance.now();
      const options = ['-s', sessionsAtOnce, '-m', count, '-l', bytes, '-d', '-f', 'bench@postfix-a.test'];
      const sending = run(join(programFolder, 'smtp-source'), [
        ...options.map(String),
        '-t',
        `box@${recipientDomain}`,
        `127.0.0.1:${portA}`,
      ]);
      await sending;
      await waitFor(async () => ((await countFiles()) - before >= count ? true : undefined), {
        ...{ what: 'the last message in the Maildir', deadlineMs: deliveryMsMax, pauseMs: lookMs },
      });
      const seconds = (performance.now() - start) / 1000;
      await rm(box, { recursive: true, force: true });
      await pause(0);
      return seconds;
    },
    stop,
  };
}
