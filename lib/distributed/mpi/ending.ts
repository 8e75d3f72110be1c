import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { RankError, TimeoutError } from '../errors.js';
import { leaveEndingNote } from '../launch/ending-note.js';
import { exitedEarly, firstLine, uncaughtText } from '../world/exit.js';
import type { OwnWorld } from '../world/own-world.js';
import type { MpiTransport } from './mpi-transport.js';

/** Exit code of a job in which a rank did not come before a deadline, though nobody says so with another code. */
export const late = 71;
/** Milliseconds that the other ranks get when one has failed. On a busy machine, a second was too short for their last words. */
const lastWords = 2000;
/** The same for a rank that another one ends. */
const patience = 5000;

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Ties the end of the process to that of the job: the natural end of the script closes the world, any other one ends all ranks.
 * MPI's launchers would wait for ever, or take an exit with 0 before MPI_Finalize for a success.
 */
export function tieEnds(world: OwnWorld, transport: MpiTransport): void {
  const uncaught: unknown[] = [];
  process.on('beforeExit', () => void world.leave());
  process.on('uncaughtExceptionMonitor', (error) => {
    // A script that handles it goes on.
    if (process.listenerCount('uncaughtException') === 0) uncaught.push(error);
  });
  process.on('exit', (code) => {
    if (!transport.isClosed) endJob(transport, code, uncaught[0]);
  });
  let signals = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (transport.isClosed || ++signals > 1) process.exit(128 + constants.signals[signal]);
      transport.interrupt(signal);
    });
  transport.watchSignals();
}

function endJob(transport: MpiTransport, code: number, uncaught: unknown): never {
  const { rank, broken } = transport;
  // Node would print it after this event, which nothing comes after.
  if (uncaught !== undefined) writeSync(2, `rank ${rank}: ${uncaughtText(uncaught)}\n`);
  if (broken !== undefined) {
    // A script that left while others waited for it has ended well itself: theirs decide the exit code.
    const hasLeft = broken instanceof RankError && broken.rank === rank;
    const exitCode = code || (broken instanceof TimeoutError ? late : exitedEarly);
    // A culprit on another host has left no note here.
    const ending =
      broken instanceof RankError
        ? { rank: broken.rank, exitCode: broken.exitCode ?? exitCode, reason: broken.reason }
        : { rank, exitCode, reason: firstLine(uncaught ?? broken) };
    if (!hasLeft) leaveEndingNote(ending);
    sleep(transport.isEnding || hasLeft ? patience : lastWords);
    return transport.end(exitCode);
  }
  const exitCode = code || exitedEarly;
  const how = code === 0 ? 'called process.exit(0) before close()' : `exited with code ${code} before close()`;
  if (uncaught === undefined) writeSync(2, `rank ${rank}: ${how}\n`);
  const ending = { rank, exitCode, reason: uncaught === undefined ? how : firstLine(uncaught) };
  leaveEndingNote(ending);
  transport.tell({ ...ending, isEnding: true });
  if (transport.size > 1) sleep(lastWords);
  return transport.end(exitCode);
}

function sleep(ms: number): void {
  Atomics.wait(pause, 0, 0, ms);
}
