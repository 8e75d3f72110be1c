// ReduceOnPlateau against PyTorch's ReduceLROnPlateau, rewritten here from its rules.
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../../lib/optimizers/index.js';
import { ReduceOnPlateau, type ReduceOnPlateauOptions } from '../../../lib/training/index.js';
import { random } from '../../support/random.js';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe('ReduceOnPlateau', () => {
  type Options = Required<{ [K in keyof ReduceOnPlateauOptions]: NonNullable<ReduceOnPlateauOptions[K]> }>;

  /** torch/optim/lr_scheduler.py, ReduceLROnPlateau: its state and its loop, the four comparisons spelled out. */
  class Torch {
    best: number;
    bad = 0;
    cooldown = 0;
    constructor(
      readonly lrs: number[],
      readonly o: Options,
    ) {
      this.best = o.mode === 'min' ? inf : -inf;
    }

    better(a: number): boolean {
      const { mode, thresholdMode, threshold } = this.o;
      switch (`${mode} ${thresholdMode}`) {
        case 'min rel':
          return a < this.best * (1 - threshold);
        case 'min abs':
          return a < this.best - threshold;
        case 'max rel':
          return a > this.best * (threshold + 1);
        default:
          return a > this.best + threshold;
      }
    }

    step(metric: number): void {
      if (this.better(metric)) {
        this.best = metric;
        this.bad = 0;
      } else {
        this.bad += 1;
      }
      if (this.cooldown > 0) {
        this.cooldown -= 1;
        this.bad = 0;
      }
      if (this.bad > this.o.patience) {
        for (let i = 0; i < this.lrs.length; i++) {
          const old = this.lrs[i] as number;
          const lowest = typeof this.o.min === 'number' ? this.o.min : (this.o.min[i] as number);
          const fresh = Math.max(old * this.o.factor, lowest);
          if (old - fresh > this.o.eps) this.lrs[i] = fresh;
        }
        this.cooldown = this.o.cooldown;
        this.bad = 0;
      }
    }
  }

  const choices = {
    mode: ['min', 'max'],
    factor: [0, 0.1, 0.7],
    patience: [0, 1, 3],
    threshold: [0, 1e-4, 0.2, 1],
    thresholdMode: ['rel', 'abs'],
    cooldown: [0, 1, 3],
    min: [0, 0.02, [0, 0.3]],
    eps: [0, 1e-8, 0.05],
  };
  const combinations = Object.entries(choices).reduce<Record<string, unknown>[]>(
    (all, [name, values]) => all.flatMap((one) => (values as unknown[]).map((value) => ({ ...one, [name]: value }))),
    [{}],
  ) as unknown as Options[];

  /** A walk on a coarse grid, so that ties are frequent, with what a failing run reports strewn in. */
  function metrics(next: () => number, length: number): number[] {
    let value = Math.round(6 * next() - 3);
    return Array.from({ length }, () => {
      const odd = next();
      if (odd < 0.03) return odd < 0.01 ? nan : odd < 0.02 ? inf : -inf;
      value += Math.round(4 * next() - 2) * 0.1;
      return value;
    });
  }

  test(`all ${combinations.length} combinations of its options give PyTorch's lrs`, () => {
    const next = random(3);
    let falls = 0;
    for (const options of combinations) {
      const optimizer = { paramGroups: [{ lr: 0.5 }, { lr: 1 }] };
      const torch = new Torch([0.5, 1], options);
      const plateau = new ReduceOnPlateau(optimizer, options);
      for (const [i, metric] of metrics(next, 40).entries()) {
        const before = optimizer.paramGroups.map(({ lr }) => lr);
        const changed = plateau.update(metric);
        torch.step(metric);
        const lrs = optimizer.paramGroups.map(({ lr }) => lr);
        if (lrs.some((lr, g) => lr !== torch.lrs[g]))
          expect(lrs, `update ${i}, ${JSON.stringify(options)}`).toEqual(torch.lrs);
        if (changed !== lrs.some((lr, g) => lr !== before[g])) expect(changed, JSON.stringify(options)).toBe(!changed);
        if (changed) falls++;
      }
    }
    expect(falls).toBeGreaterThan(combinations.length);
  });

  test('with the defaults: the eleventh update in a row that is not better by 1e-4 of the best', () => {
    const sgd = new SGD(new Float32Array(1), { lr: 0.5 });
    const plateau = new ReduceOnPlateau(sgd);
    plateau.update(1);
    for (let i = 1; i <= 10; i++) plateau.update(1 - 9e-5);
    expect(sgd.lr).toBe(0.5);
    plateau.update(1 - 9e-5);
    expect(sgd.lr).toBe(0.05);
  });

  test('by hand', () => {
    const adam = new Adam(new Float32Array(1), { lr: 1 });
    const plateau = new ReduceOnPlateau(adam, {
      mode: 'max',
      factor: 0.5,
      patience: 1,
      threshold: 0.1,
      thresholdMode: 'abs',
      cooldown: 1,
      min: 0.2,
    });
    const lrs = [0.5, 0.55, 0.6, 0.65, 0.65, nan, 0.65, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8].map((metric) => {
      plateau.update(metric);
      return adam.lr;
    });
    //                  best bad bad→ cool bad bad→   cool best .8 bad bad→    cool bad bad→ (at min)
    expect(lrs).toEqual([1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]);
  });
});
