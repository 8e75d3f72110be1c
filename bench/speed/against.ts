import { setThreads } from '../common/schuss.js';
import { alternate, type Contender, paceFor, secondsOf } from './alternate.js';
import type { Context } from './context.js';
import { size } from './format.js';
import { Limit } from './limit.js';
import { shareCore } from './one-core.js';
import { type Ours, oursInAllocated, oursOn } from './ours.js';
import { peers } from './peers/index.js';
import { everyNth, type Peer, type Runner } from './peers/peer.js';
import { isSkipped, type PeerRow, type Results, type Skipped } from './results.js';
import type { Settings } from './settings.js';
import { ratioOf, scaled } from './statistics.js';
import { checkMemory, fillStart, fits, fusedMethods, type Method, methods, type Task } from './task.js';

export interface LoadedPeer {
  readonly peer: Peer;
  readonly version: string | Skipped;
}

/** Loads the peers that were asked for. A peer that cannot take part stays in the list with the reason. */
export async function loadPeers(settings: Settings): Promise<LoadedPeer[]> {
  const loaded: LoadedPeer[] = [];
  for (const peer of peers) {
    if (!settings.peers.includes(peer.id)) continue;
    try {
      loaded.push({ peer, version: await peer.load() });
    } catch (error) {
      loaded.push({ peer, version: { skipped: oneLine(error) } });
    }
  }
  return loaded;
}

function oneLine(error: unknown): string {
  return (error as Error).message.replace(/\s+/g, ' ').trim();
}

/** A task and its peers: all that implement the method, or only those listed. */
interface Cell {
  readonly task: Task;
  readonly only?: readonly string[];
}

const compiled = ['torch', 'torch-foreach', 'torch-fused', 'deepspeed'];
/** From here on, the others take seconds for a step. */
const large = 1e7;
/** From here on, `allocate` asks for huge pages. */
const paged = 2 ** 20;
/** From here on, the slower ways of PyTorch need more memory and time than the run has. */
const huge = 1e8;

function cellsOf({ sizes, compiledSizes, classes, threads }: Settings): Cell[] {
  const chosen = (Object.keys(methods) as Method[]).filter((method) =>
    classes.includes(methods[method].Class.optimizerName.toLowerCase()),
  );
  const cell = (method: Method, n: number, only?: readonly string[], count = 1): Cell => ({
    task: { method, n, tensors: 1, threads: count },
    ...(only !== undefined && { only }),
  });
  const fast = (n: number, method: Method): string[] => [
    ...(method === 'adam' ? ['js'] : []),
    ...(n < huge ? compiled : ['torch-fused', 'deepspeed']),
  ];
  const most = Math.max(...threads);
  const both = [...sizes, ...compiledSizes].sort((a, b) => a - b);
  return [
    ...chosen.map((method) => ({ task: { method, n: 200_000, tensors: 200, threads: 1 } })),
    ...sizes.flatMap((n) =>
      chosen.map((method) => cell(method, n, n < large || method === 'adam' ? undefined : fast(n, method))),
    ),
    ...compiledSizes.flatMap((n) =>
      chosen
        .filter((method) => n < huge || fusedMethods.includes(method))
        .map((method) => cell(method, n, fast(n, method))),
    ),
    ...both
      .filter((n) => most > 1 && n >= 1e6)
      .flatMap((n) =>
        chosen
          .filter((method) => fusedMethods.includes(method))
          .map((method) => cell(method, n, ['torch-fused', 'deepspeed'], most)),
      ),
  ];
}

/** Peers beside schuss and the limit loop, alternated on each task. */
export async function againstPeers(
  { settings, say }: Context,
  loaded: readonly LoadedPeer[],
): Promise<Results['against']> {
  const rows: PeerRow[] = [];
  for (const { task, only } of cellsOf(settings)) {
    const taking = loaded.filter(
      ({ peer }) =>
        peer.methods.includes(task.method) &&
        (task.tensors === 1 || peer.manyTensors) &&
        (only === undefined || only.includes(peer.id)),
    );
    const where = `${task.tensors > 1 ? ' in 200 tensors' : ''}${task.threads > 1 ? `, ${task.threads} threads` : ''}`;
    say(`${methods[task.method].label} and its peers, n = ${task.n}${where}`);
    rows.push(...(await oneTask(task, taking, settings)));
  }
  for (const { peer, version } of loaded) if (typeof version === 'string') await peer.close?.();
  setThreads(1);
  return withoutBroken(rows);
}

/** The name of a contender that runs in a second way. */
const boundName = (id: string): string => `${id}, bound`;

async function oneTask(task: Task, taking: readonly LoadedPeer[], settings: Settings): Promise<PeerRow[]> {
  const { n, method, threads } = task;
  const ours: Ours[] = [oursOn(task)];
  if (n >= paged && fits(n)) ours.push(oursInAllocated(task));
  const reference = expectation(task);
  const skipped = new Map<string, string>();
  const runners: Runner[] = [];
  const contenders: Contender[] = [...ours];
  const limit = Limit.of(n)?.contender(methods[method].states, threads);
  if (limit !== undefined) contenders.push(limit);
  const enter = async (name: string, start: (task: Task) => Promise<Runner>): Promise<void> => {
    checkMemory(n);
    const runner = await start(task);
    runners.push(runner);
    await check(runner, reference);
    contenders.push({ name, run: (steps) => runner.run(steps) });
  };
  for (const { peer, version } of taking) {
    try {
      if (typeof version === 'object') throw new Error(version.skipped);
      await enter(peer.id, (task) => peer.start(task));
      if (threads > 1 && peer.startBound !== undefined)
        await enter(boundName(peer.id), (task) => peer.startBound!(task));
    } catch (error) {
      skipped.set(peer.id, oneLine(error));
    }
  }

  const usual = paceFor(n / task.tensors, settings.pace);
  const pace = threads > 1 ? { ...usual, rest: 0.02 } : usual;
  const others = new Set(runners.flatMap(({ pid }) => pid ?? []));
  const putBack = threads === 1 && others.size > 0 ? shareCore([process.pid, ...others]) : () => {};
  const outcomes = await alternate(contenders, pace).finally(putBack);
  for (const { dispose } of ours) dispose();
  for (const runner of runners) {
    // A runner whose heap is broken may throw here too.
    try {
      await runner.dispose();
    } catch {}
  }
  const mine = secondsOf(outcomes, 'schuss');
  const measured = (id: string): PeerRow['measured'] => {
    const ways = [outcomes.get(id), outcomes.get(boundName(id))].filter((way) => way !== undefined);
    if (skipped.has(id) || ways.length === 0) return { skipped: skipped.get(id) as string };
    const failed = ways.find((way) => 'failed' in way);
    if (failed !== undefined) return { skipped: oneLine({ message: failed.failed }) };
    const [best] = (ways as { seconds: readonly number[] }[])
      .map(({ seconds }) => ({ nsPerParam: scaled(seconds, 1e9 / n), ofOurs: ratioOf(seconds, mine) }))
      .sort((a, b) => a.ofOurs.median - b.ofOurs.median);
    return best!;
  };
  const row = (peer: string, label: string): PeerRow => ({ ...task, peer, label, measured: measured(peer) });
  return [
    ...(limit === undefined ? [] : [row('limit', 'limit')]),
    row('schuss', 'schuss'),
    ...(ours.length > 1 ? [row('schuss-allocate', 'schuss, allocate')] : []),
    ...taking.map(({ peer }) => row(peer.id, peer.label)),
  ];
}

/**
 * Threads that share a core wait for each other for milliseconds, whatever the size of the step. A time that does not grow
 * with the size says nothing about the peer.
 */
export function withoutBroken(rows: readonly PeerRow[]): PeerRow[] {
  const time = ({ n, measured }: PeerRow): number =>
    isSkipped(measured) ? Number.NaN : n * measured.nsPerParam.median;
  return rows.map((row) => {
    const larger = rows.find(
      (other) =>
        row.threads > 1 &&
        other.peer === row.peer &&
        other.method === row.method &&
        other.threads === row.threads &&
        other.n >= 3 * row.n &&
        time(other) < 1.3 * time(row),
    );
    if (larger === undefined) return row;
    return {
      ...row,
      measured: { skipped: `a broken measurement: ${size(larger.n)} takes no longer than ${size(row.n)}` },
    };
  });
}

const checkedSteps = 3;
// Coprime to both periods of the tasks' values, so that all of them are checked.
const checkedStride = 997;
/** Tolerance as a fraction of the largest change: formulas may add eps, and round, in other places. */
const tolerance = 1e-3;

interface Expectation {
  readonly values: readonly number[];
  readonly error: number;
}

/** The task's weights after three steps of schuss, and the tolerance. */
function expectation(task: Task): Expectation {
  // Elements are independent and their values repeat, so that a short tensor has all of them.
  const n = task.n / task.tensors;
  const ours = oursOn({ ...task, tensors: 1, threads: 1, n: Math.min(n, 200_000) });
  const before = fillStart(new Float32Array(ours.params[0]!.length));
  ours.run(checkedSteps);
  const change = ours.params[0]!.reduce((most, w, i) => Math.max(most, Math.abs(w - before[i]!)), 0);
  ours.dispose();
  return { values: everyNth(ours.params[0]!, checkedStride), error: tolerance * change };
}

/** @throws Error if a peer does not compute the same weights */
async function check(runner: Runner, { values, error }: Expectation): Promise<void> {
  await runner.run(checkedSteps);
  const theirs = await runner.sample(checkedStride);
  for (const [i, value] of values.entries()) {
    const other = theirs[i] as number;
    // Not `>`: NaN is wrong too.
    if (!(Math.abs(other - value) <= error))
      throw new Error(`computes something else: after ${checkedSteps} steps ${other} where schuss has ${value}`);
  }
}
