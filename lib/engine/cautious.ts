import type { KernelDeclaration } from './kernel.js';

const f = Math.fround;

/** The line of the formula of a class with the option `cautious`. */
export const cautiousFormula = 'cautious: u, the step of w, is 0 where u·g ≥ 0, else divided by max(share kept, 1e-3)';

/** Whether an element moves: its step is against its gradient. */
function isKept(step: number, grad: number): boolean {
  return Math.sign(step) * Math.sign(grad) < 0;
}

/**
 * The cautious form of a kernel whose formula only adds a step to the param. It needs the share of elements that move
 * before any of them does.
 */
export function cautious(kernel: KernelDeclaration): KernelDeclaration {
  const { state: names, constants, reference } = kernel;
  const scale = constants.length;
  return {
    state: names,
    constants: [...constants, 'cautiousScale'],
    norms: {
      measure: (values, state) => {
        const update = reference(values, state);
        return (i, _param, grad, out) => {
          const before = state.map((array) => array[i]!);
          out[0] = isKept(f(update(i, 0, grad)), grad) ? 1 : 0;
          out[1] = 0;
          for (const [s, array] of state.entries()) array[i] = before[s]!;
        };
      },
      resolve: (values, kept, _, length) => {
        const share = (kept * kept) / length;
        return values.with(scale, 1 / (share > 1e-3 ? share : 1e-3));
      },
    },
    reference: (values, state) => {
      const update = reference(values, state);
      return (i, param, grad) => {
        const step = f(update(i, 0, grad));
        return param + (isKept(step, grad) ? f(step * values[scale]!) : 0);
      };
    },
  };
}

/** Kernels and their cautious forms, whose names end in `-cautious`. */
export function withCautious<K extends Readonly<Record<string, KernelDeclaration>>>(
  kernels: K,
): K & Readonly<Record<`${keyof K & string}-cautious`, KernelDeclaration>> {
  const forms = Object.entries(kernels).map(([name, kernel]) => [`${name}-cautious`, cautious(kernel)]);
  return { ...kernels, ...Object.fromEntries(forms) };
}
