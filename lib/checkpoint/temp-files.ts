import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { open, readdir, readFile, realpath, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** What identifies this process among all that may write to a shared directory. */
interface Identity {
  /** Machine, boot and PID namespace: a process id means something only there. */
  readonly place: string;
  readonly pid: number;
  /** When the process started, in clock ticks since boot; 0 where the system does not tell. */
  readonly start: string;
}

let own: Identity | undefined;

function identity(): Identity {
  if (own !== undefined) return own;
  const parts = [hostname(), quietly(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'))];
  parts.push(quietly(() => readlinkSync('/proc/self/ns/pid')));
  const place = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
  const start = startOf(quietly(() => readFileSync(`/proc/${process.pid}/stat`, 'latin1')));
  own = { place, pid: process.pid, start: start ?? '0' };
  return own;
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return ''; // not Linux, or /proc is not mounted
  }
}

/** The start time in /proc/<pid>/stat; undefined for a process that has ended. */
function startOf(line: string): string | undefined {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' '); // the name before it may hold spaces
  const [state] = fields;
  return state === 'Z' || state === 'X' ? undefined : fields[19];
}

/** A new name for a temporary file. It does not grow with the name of the target, which may be as long as is allowed. */
export function tempPath(directory: string): string {
  const { place, pid, start } = identity();
  return join(directory, `.schuss-${place}-${pid}-${start}-${randomBytes(8).toString('hex')}.tmp`);
}

const tempPattern = /^\.schuss-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{16}\.tmp$/;
/** A file of another machine, boot or container is stale when nothing was written to it for this long. */
const staleAfter = 24 * 3600 * 1000;

/** Removes the temporary files of processes that have ended. Errors are ignored: the files do no harm. */
export async function sweep(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const match = tempPattern.exec(name);
    if (match === null) continue;
    const [, place, pid, start] = match as unknown as [string, string, string, string];
    const path = join(directory, name);
    const isStale = place === identity().place ? !(await isRunning(Number(pid), start)) : await isOld(path);
    if (isStale) await unlink(path).catch(() => {});
  }
}

async function isRunning(pid: number, start: string): Promise<boolean> {
  if (start !== '0') {
    const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
    return line !== undefined && startOf(line) === start;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > staleAfter;
}

/** The file that a new one replaces. */
export interface Target {
  readonly path: string;
  readonly directory: string;
  /** Permissions and owner of the file that is there now. */
  readonly current: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Follows symbolic links, so that the file at their end is replaced and not the link.
 * @throws the system's error, EISDIR for a directory, EINVAL for a pipe or device
 */
export async function findTarget(path: string): Promise<Target> {
  const absolute = resolve(path);
  const real = await realpath(absolute).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return join(await realpath(dirname(absolute)), basename(absolute));
  });
  const found = await stat(real).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found?.isDirectory()) throw Object.assign(new Error('a directory'), { code: 'EISDIR' });
  // A rename would replace /dev/null by a file.
  if (found !== undefined && !found.isFile()) throw Object.assign(new Error('a pipe or a device'), { code: 'EINVAL' });
  const current = found && { mode: found.mode & 0o7777, uid: found.uid, gid: found.gid };
  return { path: real, directory: dirname(real), current };
}

/** Makes a rename in a directory durable. Systems that cannot sync a directory are left alone. */
export async function syncDirectory(directory: string): Promise<void> {
  const unsupported = ['EISDIR', 'EACCES', 'EPERM', 'EINVAL', 'ENOTSUP', 'ENOSYS'];
  try {
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!unsupported.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
