import type { Vector } from '../linalg.js';
import type { MaybeTask, Task } from '../task.js';
import { type LinePoint, nextStep } from './trial-step.js';

/** A point on the search line, with the full gradient there. */
export interface Trial extends LinePoint {
  step: number;
  value: number;
  slope: number;
  grad: Vector;
}

/** Sufficient decrease: f(x + αd) ≤ f(x) + c₁·α·gᵀd. */
const c1 = 1e-4;
/** Curvature condition: |∇f(x + αd)ᵀd| ≤ c₂·|gᵀd|. */
const c2 = 0.9;
/** Largest number of evaluations in one search. */
const maxTrials = 20;
/** A bracket narrower than this fraction of its far end is not narrowed further. */
const minBracket = 0.1;
/** After a trial that is not finite, the next trial is at this fraction of its distance from the best point. */
const backOff = 0.25;
/** A later trial may cover at most this fraction of the distance from the best point to a point that is not finite. */
const maxApproach = 0.75;

/**
 * Line search for the strong Wolfe conditions: Moré & Thuente 1994, as in MINPACK-2's `dcsrch`. A trial with a value or
 * slope that is not finite makes the search back off.
 */
export class LineSearch {
  /** The point with the lowest value and sufficient decrease so far. Initially the start, at step 0. */
  #best: Trial | undefined;
  /** The other end of the bracket. */
  #other: Trial | undefined;
  readonly #trials: readonly Trial[];

  /** @param grads three vectors to write gradients to */
  constructor(grads: readonly [Vector, Vector, Vector]) {
    this.#trials = grads.map((grad) => ({ step: 0, value: 0, slope: 0, grad }));
  }

  /** The best point of the current or the last search, or undefined if that is its start. */
  get best(): Trial | undefined {
    return this.#best !== undefined && this.#best.step > 0 ? this.#best : undefined;
  }

  /** A trial for use without a search. */
  get spareTrial(): Trial {
    return this.#trials[0] as Trial;
  }

  /** Forgets the points of the last search. */
  reset(): void {
    this.#best = undefined;
    this.#other = undefined;
  }

  /**
   * Runs one search.
   *
   * @param start the start of the line, at step 0 and with a negative slope
   * @param firstStep the first step to try
   * @param evaluate writes value, slope and gradient at `trial.step`
   * @param isTooShort whether a step is so short that its end rounds to the start. The search ends there.
   * @returns a point that satisfies the strong Wolfe conditions. If the search finds none, the best point with
   *   sufficient decrease, or undefined. The point is reused by the next search.
   */
  *run(
    start: Trial,
    firstStep: number,
    evaluate: (trial: Trial) => MaybeTask<void>,
    isTooShort: (step: number) => boolean = () => false,
  ): Task<Trial | undefined> {
    let best = start;
    let other: Trial | undefined;
    const sufficientSlope = c1 * start.slope;
    // The auxiliary function ψ of the first stage: the function minus the sufficient decrease. A minimum of ψ with ψ ≤
    // 0 satisfies the condition.
    const auxiliary = (point: LinePoint): LinePoint => ({
      step: point.step,
      value: point.value - point.step * sufficientSlope,
      slope: point.slope - sufficientSlope,
    });
    const unchanged = (point: LinePoint): LinePoint => point;
    let isFirstStage = true;
    let next = firstStep;
    let [min, max] = [0, 5 * firstStep];
    let [width, previousWidth] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    // The nearest steps below and above the best one at which the function was not finite.
    let [nonFiniteBelow, nonFiniteAbove] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

    for (let count = 0; count < maxTrials; count++) {
      this.#best = best;
      this.#other = other;
      if (isTooShort(next)) break;
      const trial = this.#trials.find((free) => free !== best && free !== other) as Trial;
      trial.step = next;
      const pending = evaluate(trial);
      if (pending !== undefined) yield* pending;
      const { value, slope } = trial;
      if (!Number.isFinite(value) || !Number.isFinite(slope)) {
        if (next > best.step) nonFiniteAbove = next;
        else nonFiniteBelow = next;
        next = best.step + backOff * (next - best.step);
        continue;
      }

      const sufficientValue = start.value + next * sufficientSlope;
      if (value <= sufficientValue && Math.abs(slope) <= -c2 * start.slope) return trial;
      if (value <= sufficientValue && slope >= 0) isFirstStage = false;
      // The slope points down all the way, and yet the value is the same: rounding hides the decrease, also of any
      // shorter step.
      if (value === best.value && value > sufficientValue && slope < 0 && next > best.step) break;

      const view = isFirstStage && value <= best.value && value > sufficientValue ? auxiliary : unchanged;
      const [lowest, latest] = [view(best), view(trial)];
      next = nextStep(lowest, latest, other && view(other), min, Math.min(max, nonFiniteAbove));
      if (latest.value > lowest.value) other = trial;
      else {
        if (latest.slope * Math.sign(lowest.slope) < 0) other = best;
        best = trial;
      }

      if (other === undefined) {
        min = next + 1.1 * (next - best.step);
        max = next + 4 * (next - best.step);
      } else {
        const span = other.step - best.step;
        // Bisect if two trials have not narrowed the bracket to two thirds.
        if (Math.abs(span) >= 0.66 * previousWidth) next = best.step + span / 2;
        [previousWidth, width] = [width, Math.abs(span)];
        min = Math.min(best.step, other.step);
        max = Math.max(best.step, other.step);
        if (next <= min || next >= max || max - min <= minBracket * max) break;
      }
      next = Math.max(best.step + maxApproach * (nonFiniteBelow - best.step), next);
      next = Math.min(best.step + maxApproach * (nonFiniteAbove - best.step), next);
      if (!Number.isFinite(next)) break;
    }
    this.#best = best;
    this.#other = other;
    return this.best;
  }

  /** A point of the last search other than its start and `trial`, if there is one. */
  neighbour(trial: Trial): Trial | undefined {
    return [this.#best, this.#other].find((point) => point !== undefined && point !== trial && point.step > 0);
  }
}
