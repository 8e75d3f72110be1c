import { allocate } from '../common/schuss.js';
import { alternate, type Contender, secondsOf } from './alternate.js';
import type { Context } from './context.js';
import { Limit } from './limit.js';
import { oursOn } from './ours.js';
import { peers } from './peers/index.js';
import { everyNth, type Peer, type Runner } from './peers/peer.js';
import type { PeerRow, Results, Skipped } from './results.js';
import type { Settings } from './settings.js';
import { ratioOf, scaled } from './statistics.js';
import { checkMemory, fillStart, type Method, methods, type Task } from './task.js';

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

function cellsOf({ sizes, classes, special }: Settings): Cell[] {
  const chosen = (Object.keys(methods) as Method[]).filter((method) =>
    classes.includes(methods[method].Class.optimizerName.toLowerCase()),
  );
  const cells: Cell[] = sizes.flatMap((n) => chosen.map((method) => ({ task: { method, n, tensors: 1 } })));
  if (!chosen.includes('adam')) return cells;
  cells.push({ task: { method: 'adam', n: 200_000, tensors: 200 } });
  if (special.large !== undefined) {
    const only = ['js', 'torch', 'torch-foreach', 'torch-fused'];
    cells.push({ task: { method: 'adam', n: special.large, tensors: 1 }, only });
  }
  return cells;
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
    say(`${methods[task.method].label} and its peers, n = ${task.n}${task.tensors > 1 ? ' in 200 tensors' : ''}`);
    rows.push(...(await oneTask(task, taking, settings)));
  }
  for (const { peer, version } of loaded) if (typeof version === 'string') await peer.close?.();
  return rows;
}

async function oneTask(task: Task, taking: readonly LoadedPeer[], settings: Settings): Promise<PeerRow[]> {
  const { n, method } = task;
  const ours = oursOn(task);
  const reference = expectation(task);
  const skipped = new Map<string, string>();
  const runners: { peer: Peer; runner: Runner }[] = [];
  const contenders: Contender[] = [ours];
  const limit = Limit.of(n)?.contender(methods[method].states);
  if (limit !== undefined) contenders.push(limit);
  for (const { peer, version } of taking) {
    try {
      if (typeof version === 'object') throw new Error(version.skipped);
      checkMemory(n);
      const runner = await peer.start(task);
      runners.push({ peer, runner });
      await check(runner, reference);
      contenders.push({ name: peer.id, run: (steps) => runner.run(steps) });
    } catch (error) {
      skipped.set(peer.id, oneLine(error));
    }
  }

  const outcomes = await alternate(contenders, settings.pace);
  ours.dispose();
  for (const { runner } of runners) {
    // A runner whose heap is broken may throw here too.
    try {
      await runner.dispose();
    } catch {}
  }
  const mine = secondsOf(outcomes, 'schuss');
  const measured = (id: string): PeerRow['measured'] => {
    const outcome = outcomes.get(id);
    if (outcome === undefined) return { skipped: skipped.get(id) as string };
    if ('failed' in outcome) return { skipped: oneLine({ message: outcome.failed }) };
    return { nsPerParam: scaled(outcome.seconds, 1e9 / n), ofOurs: ratioOf(outcome.seconds, mine) };
  };
  const row = (peer: string, label: string): PeerRow => ({ ...task, peer, label, measured: measured(peer) });
  return [
    ...(limit === undefined ? [] : [row('limit', 'limit')]),
    row('schuss', 'schuss'),
    ...taking.map(({ peer }) => row(peer.id, peer.label)),
  ];
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
  const ours = oursOn({ ...task, tensors: 1, n: Math.min(n, 200_000) });
  const before = fillStart(allocate(ours.params[0]!.length));
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
