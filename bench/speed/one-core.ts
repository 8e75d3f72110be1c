// The cores of a virtual machine are not equally fast: another tenant may use one of them. A peer in a process of its own runs on
// another core than we do, unless both are told to share one.
import { spawnSync } from 'node:child_process';

/** The cores that a thread may run on, as `taskset` lists them; undefined where there is no `taskset`. */
function coresOf(pid: number): string | undefined {
  const { status, stdout } = spawnSync('taskset', ['-cp', String(pid)], { encoding: 'utf8' });
  return status === 0 ? /: ([\d,-]+)\s*$/.exec(stdout)?.[1] : undefined;
}

/**
 * Keeps the main threads of these processes on one core. Threads that they have started stay where they are.
 * @returns puts them back
 */
export function shareCore(pids: readonly number[]): () => void {
  const before = pids.map((pid) => [pid, coresOf(pid)] as const);
  const core = /^\d+/.exec(before[0]?.[1] ?? '')?.[0];
  const move = (pid: number, cores: string): void => void spawnSync('taskset', ['-cp', cores, String(pid)]);
  if (core !== undefined) for (const pid of pids) move(pid, core);
  return () => {
    for (const [pid, cores] of before) if (cores !== undefined) move(pid, cores);
  };
}
