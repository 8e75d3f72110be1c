import { addDifference, scale, type Vector } from '../linalg.js';
import type { LinePoint } from './trial-step.js';

/** A point on the line of a step, with its gradient. */
interface GradPoint extends LinePoint {
  readonly grad: Vector;
}

/** How far the mean curvature of a step is moved towards that at its end. */
const towardsEnd = 0.8;
/** Bounds of what that may make of sᵀy: beyond, the cubic is no model of the function. */
const bounds = { least: 0.1, most: 10 } as const;
/** sᵀy, about twice the fall of the value, must be this many times the rounding of the values, or they say nothing of it. */
const visible = 5000;
/** A neighbour closer than this part of the step shows little but rounding. */
const apart = 0.01;

function isBelievable(ratio: number): boolean {
  return ratio >= bounds.least && ratio <= bounds.most;
}

/**
 * Makes y, the change of the gradient over a step s, say more about the curvature where the step ended, and where the
 * next one begins: y/α is the mean of ∇²f·d over the step, what is wanted is ∇²f·d at its end. It costs no evaluation.
 *
 * With another point on the line: the derivative at the end of the parabola through the three gradients, a vector.
 * Without: y times a factor, for which the cubic through both values and slopes has its second derivative nearer to that
 * at its end (the correction is that of Zhang, Deng & Chen, JOTA 102 (1999), which is added to y as a multiple of s
 * there). On a quadratic neither changes anything.
 *
 * @param y grad at the end less grad at the start; changed
 * @param neighbour another point on the line, if there is one
 * @param rounding how far a value may be off
 */
export function checkConvergence(
  y: Vector,
  start: GradPoint,
  end: GradPoint,
  neighbour: GradPoint | undefined,
  rounding: number,
): void {
  const change = end.slope - start.slope;
  if (!(change > 0)) return;
  if (neighbour !== undefined && Math.abs(neighbour.step - end.step) >= apart * end.step) {
    const beyond = end.step / (neighbour.step - end.step);
    const whole = end.step / neighbour.step;
    const [ofY, ofBeyond] = [1 - whole, beyond - whole];
    if (isBelievable(ofY + (ofBeyond * (neighbour.slope - end.slope)) / change)) {
      addDifference(ofY, y, ofBeyond, neighbour.grad, end.grad);
      return;
    }
  }
  const sy = end.step * change;
  const third = 6 * (start.value - end.value) + 3 * end.step * (start.slope + end.slope);
  const factor = 1 + (towardsEnd * third) / sy;
  if (isBelievable(factor) && sy >= visible * rounding) scale(factor, y, y);
}
