// PyTorch's rule of the loss scale, written from its documentation (torch/amp/grad_scaler.py) and from
// _amp_update_scale_, for comparison with LossScale.

const float32 = new Float32Array(1);
/** A number rounded to float32 by storing it. */
export function rounded(x: number): number {
  float32[0] = x;
  return float32[0]!;
}

export interface Scaler {
  readonly scale: number;
  readonly growthFactor: number;
  readonly backoffFactor: number;
  readonly growthInterval: number;
  readonly growthTracker: number;
}

/** The state after `update`. `foundInf`: whether a gradient of any step since the last update was not finite. */
export function afterUpdate(before: Scaler, foundInf: boolean): Scaler {
  const { scale, growthFactor, backoffFactor, growthInterval, growthTracker } = before;
  if (foundInf) return { ...before, scale: rounded(scale * backoffFactor), growthTracker: 0 };
  if (growthTracker + 1 !== growthInterval) return { ...before, growthTracker: growthTracker + 1 };
  const grown = rounded(scale * growthFactor);
  // "Do not grow the scale past fp32 bounds to inf."
  return { ...before, scale: Math.abs(grown) === Number.POSITIVE_INFINITY ? scale : grown, growthTracker: 0 };
}

/** The factor of the gradients: `_scale.double().reciprocal().float()`. */
export function inverse({ scale }: Scaler): number {
  return rounded(1 / scale);
}
