// Downpour SGD in round-robin order, written from the words of the contract on plain lists of numbers: one process, no
// messages, Adagrad on the server. All arithmetic is rounded to float32 after each operation.

const f = Math.fround;

export interface Plan {
  /** Steps of each worker. */
  readonly steps: readonly number[];
  readonly fetchEvery: number;
  readonly pushEvery: number;
  readonly warmStart: number;
  readonly maxStaleness: number;
  /** Learning rates of the workers and of Adagrad. */
  readonly localLr: number;
  readonly lr: number;
}

/** The gradient of a worker's step at its params. */
export type Gradient = (worker: number, step: number, w: readonly number[]) => number[];

export interface Outcome {
  readonly w: readonly number[];
  readonly pushes: number;
  readonly fetches: number;
  readonly stale: number;
  readonly nonFinite: number;
  readonly staleness: readonly number[];
}

type Request =
  | { readonly kind: 'fetch' }
  | { readonly kind: 'push'; readonly sum: number[]; readonly fetches: boolean };
type Worker = Generator<Request, void, number[]>;

function* workerOf(id: number, plan: Plan, gradient: Gradient): Worker {
  let w: number[] = yield { kind: 'fetch' };
  let sum: number[] | undefined;
  for (let step = 1; step <= plan.steps[id]!; step++) {
    const g = gradient(id, step, w);
    if (g.every(Number.isFinite)) w = w.map((x, i) => f(x - f(f(plan.localLr) * g[i]!)));
    const before = sum;
    sum = before === undefined ? [...g] : before.map((x, i) => f(x + g[i]!));
    const fetches = step % plan.fetchEvery === 0;
    if (step % plan.pushEvery === 0) {
      const given: number[] = yield { kind: 'push', sum, fetches };
      sum = undefined;
      if (fetches) w = given;
    } else if (fetches) w = yield { kind: 'fetch' };
  }
  if (sum !== undefined) yield { kind: 'push', sum, fetches: false };
}

export function roundRobin(plan: Plan, start: readonly number[], gradient: Gradient): Outcome {
  let w = [...start];
  let squares = w.map(() => 0);
  const counts = { pushes: 0, fetches: 0, stale: 0, nonFinite: 0 };
  const staleness: number[] = [];
  const versions: number[] = [];

  function give(id: number): number[] {
    counts.fetches++;
    versions[id] = counts.pushes;
    return [...w];
  }
  function apply(id: number, sum: readonly number[]): void {
    const late = counts.pushes - versions[id]!;
    if (!sum.every(Number.isFinite)) counts.nonFinite++;
    else if (late > plan.maxStaleness) counts.stale++;
    else {
      squares = squares.map((s, i) => f(s + f(sum[i]! * sum[i]!)));
      w = w.map((x, i) => f(x - f(f(f(plan.lr) * sum[i]!) / f(f(Math.sqrt(squares[i]!)) + f(1e-10)))));
      counts.pushes++;
      while (staleness.length <= late) staleness.push(0);
      staleness[late]!++;
    }
  }

  const workers = plan.steps.map((_, id) => {
    const steps = workerOf(id, plan, gradient);
    return { id, steps, next: steps.next() };
  });
  type One = (typeof workers)[number];
  /** Serves a worker up to and including its next push. Returns whether it goes on. */
  function turn(worker: One): boolean {
    for (;;) {
      if (worker.next.done) return false;
      const request = worker.next.value;
      if (request.kind === 'fetch') {
        worker.next = worker.steps.next(give(worker.id));
        continue;
      }
      apply(worker.id, request.sum);
      worker.next = worker.steps.next(request.fetches ? give(worker.id) : []);
      return true;
    }
  }
  const begin = (worker: One): void => {
    worker.next = worker.steps.next(give(worker.id)); // its first fetch
  };

  const [first, ...others] = workers as [One, ...One[]];
  begin(first);
  let round: One[] = [first];
  while (counts.pushes < plan.warmStart && round.length > 0) round = round.filter(turn);
  others.forEach(begin);
  round.push(...others);
  while (round.length > 0) round = round.filter(turn);
  return { w, ...counts, staleness };
}
