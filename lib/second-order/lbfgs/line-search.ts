import type { Vector } from '../linalg.js';
import { type LinePoint, nextStep } from './trial-step.js';

/** A point on the line, with the whole gradient there. */
export interface Trial extends LinePoint {
  step: number;
  value: number;
  slope: number;
  grad: Vector;
}

/** Sufficient decrease: f(x + αd) ≤ f(x) + c₁·α·gᵀd. */
const c1 = 1e-4;
/** Curvature: |∇f(x + αd)ᵀd| ≤ c₂·|gᵀd|. */
const c2 = 0.9;
/** The most evaluations of one search. */
const maxTrials = 20;
/** A bracket narrower than this part of its far end is not narrowed further. */
const narrow = 0.1;
/** What is left of a step, seen from the best point, when there was no finite value at its end. */
const backOff = 0.25;
/** How far towards a point without a finite value later steps may go. */
const approach = 0.75;

/**
 * Searches along a line for a step that satisfies the strong Wolfe conditions: Moré & Thuente 1994, as in MINPACK-2's
 * `dcsrch`. Trials whose value or slope is not finite are backed off from.
 */
export class LineSearch {
  /** The lowest point so far that has sufficient decrease: at first the start, which has step 0. */
  #best: Trial | undefined;
  /** The other end of the bracket. */
  #other: Trial | undefined;
  readonly #trials: readonly Trial[];

  /** @param grads three vectors to write gradients to */
  constructor(grads: readonly [Vector, Vector, Vector]) {
    this.#trials = grads.map((grad) => ({ step: 0, value: 0, slope: 0, grad }));
  }

  /** The best point of the search that is under way or was the last one, if there is one but for the start. */
  get best(): Trial | undefined {
    return this.#best !== undefined && this.#best.step > 0 ? this.#best : undefined;
  }

  /** A trial to use without a search. */
  get trial(): Trial {
    return this.#trials[0] as Trial;
  }

  /** Forgets the points of the last search. */
  reset(): void {
    this.#best = undefined;
    this.#other = undefined;
  }

  /**
   * @param start where the line begins: at step 0, with a negative slope
   * @param step the first step to try
   * @param evaluate writes value, slope and gradient at `trial.step`
   * @returns the step found; one with sufficient decrease alone, where none with both conditions was found; or undefined
   */
  run(start: Trial, step: number, evaluate: (trial: Trial) => void): Trial | undefined {
    let best = start;
    let other: Trial | undefined;
    const tilt = c1 * start.slope;
    // What the first stage looks at: the function less the decrease that is asked for. Its minimum has that decrease.
    const tilted = (point: LinePoint): LinePoint => ({
      step: point.step,
      value: point.value - point.step * tilt,
      slope: point.slope - tilt,
    });
    let firstStage = true;
    let next = step;
    let [min, max] = [0, 5 * step];
    let [width, widthBefore] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    // Between these no value was other than finite.
    let [floor, ceiling] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

    for (let count = 0; count < maxTrials; count++) {
      this.#best = best;
      this.#other = other;
      const trial = this.#trials.find((free) => free !== best && free !== other) as Trial;
      trial.step = next;
      evaluate(trial);
      const { value, slope } = trial;
      if (!Number.isFinite(value) || !Number.isFinite(slope)) {
        if (next > best.step) ceiling = next;
        else floor = next;
        next = best.step + backOff * (next - best.step);
        continue;
      }

      const wanted = start.value + next * tilt;
      if (value <= wanted && Math.abs(slope) <= -c2 * start.slope) return trial;
      if (value <= wanted && slope >= 0) firstStage = false;

      const view = firstStage && value <= best.value && value > wanted ? tilted : (point: LinePoint) => point;
      const [low, here] = [view(best), view(trial)];
      next = nextStep(low, here, other && view(other), min, Math.min(max, ceiling));
      if (here.value > low.value) other = trial;
      else {
        if (here.slope * Math.sign(low.slope) < 0) other = best;
        best = trial;
      }

      if (other === undefined) {
        min = next + 1.1 * (next - best.step);
        max = next + 4 * (next - best.step);
      } else {
        const span = other.step - best.step;
        // A bracket that two trials did not bring to two thirds is halved.
        if (Math.abs(span) >= 0.66 * widthBefore) next = best.step + span / 2;
        [widthBefore, width] = [width, Math.abs(span)];
        min = Math.min(best.step, other.step);
        max = Math.max(best.step, other.step);
        if (next <= min || next >= max || max - min <= narrow * max) break;
      }
      next = Math.max(best.step + approach * (floor - best.step), next);
      next = Math.min(best.step + approach * (ceiling - best.step), next);
      if (!Number.isFinite(next)) break;
    }
    this.#best = best;
    this.#other = other;
    return this.best;
  }

  /** Another point of the last search than `trial` and its start, if there is one. */
  neighbour(trial: Trial): Trial | undefined {
    return [this.#best, this.#other].find((point) => point !== undefined && point !== trial && point.step > 0);
  }
}
