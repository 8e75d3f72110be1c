import { addDifference, scale, type Vector } from '../linalg.js';
import type { LinePoint } from './trial-step.js';

/** A point on the search line, with its gradient. */
interface GradPoint extends LinePoint {
  readonly grad: Vector;
}

/** The correction moves the mean curvature of a step by this fraction of the way to the curvature at its end. */
const towardsEnd = 0.8;
/** Range of sᵀy after the correction divided by sᵀy before. Outside it, the interpolant is no model of the function. */
const plausibleRatio = { min: 0.1, max: 10 } as const;
/**
 * The smallest sᵀy that the factor is applied to, as a multiple of the rounding error of the values. sᵀy is about twice
 * the decrease of the value; if it is smaller, the values say nothing about the curvature.
 */
const minSignal = 5000;
/**
 * The smallest distance of the neighbour from the end, as a fraction of the step. Nearer, gradients differ mostly by
 * rounding.
 */
const minDistance = 0.01;

function isPlausible(ratio: number): boolean {
  return ratio >= plausibleRatio.min && ratio <= plausibleRatio.max;
}

/**
 * Corrects y, the change of the gradient over a step s = α·d, so that it shows the curvature at the end of the step,
 * where the next step starts. Plain y/α is the mean of ∇²f·d over the step; the corrected y/α estimates ∇²f·d at its
 * end. This costs no evaluation and changes nothing on a quadratic.
 *
 * With a neighbour: interpolates the gradients at the three points by a parabola, element by element, and takes its
 * derivative at the end.
 *
 * Without: multiplies y by a factor from the cubic that interpolates the values and slopes at both ends. Zhang, Deng &
 * Chen, JOTA 102 (1999), use the same correction, but add it to y as a multiple of s.
 *
 * @param y gradient at the end minus gradient at the start. Changed in place.
 * @param neighbour a third point on the line, if the search has one
 * @param rounding the rounding error of a value
 */
export function correctCurvature(
  y: Vector,
  start: GradPoint,
  end: GradPoint,
  neighbour: GradPoint | undefined,
  rounding: number,
): void {
  const slopeChange = end.slope - start.slope;
  if (!(slopeChange > 0)) return;
  if (neighbour !== undefined && Math.abs(neighbour.step - end.step) >= minDistance * end.step) {
    // Newton's form of the parabola, differentiated at the end: y ← (1 − a/b)·y + (a/(b − a) − a/b)·(grad_b − grad_a),
    // with a = end.step and b = neighbour.step.
    const stepToNeighbour = end.step / (neighbour.step - end.step);
    const stepRatio = end.step / neighbour.step;
    const [weightOfY, weightOfNeighbour] = [1 - stepRatio, stepToNeighbour - stepRatio];
    if (isPlausible(weightOfY + (weightOfNeighbour * (neighbour.slope - end.slope)) / slopeChange)) {
      addDifference(weightOfY, y, weightOfNeighbour, neighbour.grad, end.grad);
      return;
    }
  }
  const sy = end.step * slopeChange;
  const correction = 6 * (start.value - end.value) + 3 * end.step * (start.slope + end.slope);
  const factor = 1 + (towardsEnd * correction) / sy;
  if (isPlausible(factor) && sy >= minSignal * rounding) scale(factor, y, y);
}
