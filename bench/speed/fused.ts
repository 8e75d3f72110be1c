import { Adam, type AdamOptions, clipGradNorm, WeightAverage } from '../common/schuss.js';
import { alternate, type Contender, preparedStepping, secondsOf } from './alternate.js';
import type { Context } from './context.js';
import { type PairRow, pair } from './results.js';
import { fillGrads, fillStart, fits } from './task.js';

const maxNorm = 1;
const decay = 0.999;

/** A separate call for each: the gradient is read four times, the weights three times. */
export const passes = 'clipGradNorm, step, fill(0), WeightAverage';
/** The step clips, as the single pass does; the rest are separate calls. */
export const fewerPasses = 'step with clipNorm, fill(0), WeightAverage';

/** Clipping, Adam, zeroing the gradient and a moving average of the weights: in one step, against several calls. */
export async function fused({ settings, say }: Context): Promise<PairRow[]> {
  const rows: PairRow[] = [];
  for (const n of settings.sizes.filter((n) => fits(n, 15))) {
    say(`one pass against several, n = ${n}`);
    const source = fillGrads(new Float32Array(n));
    const contender = (name: string, options: AdamOptions, after: (w: Float32Array) => Rest): Contender => {
      const [w, g] = [fillStart(new Float32Array(n)), new Float32Array(n)];
      const adam = new Adam(w, options);
      const { before, rest } = after(w);
      const step = (): void => {
        before(g);
        adam.step(g);
        rest(g);
      };
      // Zeroed gradients are filled again, as a backward pass would do. That is not part of a step.
      return { ...preparedStepping(name, step, () => g.set(source)), tries: true };
    };
    const nothing = (): void => {};
    const clip = (g: Float32Array): void => void clipGradNorm(g, maxNorm);
    const zeroAndAverage = (w: Float32Array): Rest['rest'] => {
      const average = new WeightAverage(w, { decay });
      return (g) => {
        g.fill(0);
        average.update();
      };
    };
    const outcomes = await alternate(
      [
        contender('one', { clipNorm: maxNorm, zeroGrads: true, ema: decay }, () => ({
          before: nothing,
          rest: nothing,
        })),
        contender(passes, {}, (w) => ({ before: clip, rest: zeroAndAverage(w) })),
        contender(fewerPasses, { clipNorm: maxNorm }, (w) => ({ before: nothing, rest: zeroAndAverage(w) })),
      ],
      settings.pace,
    );
    const one = secondsOf(outcomes, 'one');
    for (const other of [passes, fewerPasses]) rows.push(pair(other, n, one, secondsOf(outcomes, other)));
  }
  return rows;
}

/** The calls before and after the step. */
interface Rest {
  before(g: Float32Array): void;
  rest(g: Float32Array): void;
}
