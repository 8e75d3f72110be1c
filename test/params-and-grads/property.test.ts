// Params that share constants stay independent: whatever happens to some of them, each has the bits of an optimizer of its own.
import { describe, expect, test } from 'vitest';
import { resetState } from '../../lib/core/internals.js';
import type { Optimizer } from '../../lib/core/optimizer.js';
import { AdamW, AdEMAMix, DoG, NAdam, RAdam, SGD, type StateDict } from '../../lib/index.js';
import { numbers, random } from '../support/random.js';
import { type Any, bits } from '../support/rig.js';

const length = 20;
const count = 5;
const classes: readonly [string, (params: object) => Optimizer][] = [
  ['SGD, Nesterov', (params) => new SGD(params, { lr: 0.1, momentum: 0.9, nesterov: true })],
  ['AdamW', (params) => new AdamW(params, { ema: (t) => 1 - 1 / (t + 1), weightDecay: (t) => 0.1 / t })],
  ['NAdam', (params) => new NAdam(params)],
  ['RAdam', (params) => new RAdam(params)],
  ['AdEMAMix', (params) => new AdEMAMix(params, { alphaSteps: 20, beta3Steps: 20 })],
  ['DoG, layerWise', (params) => new DoG(params, { layerWise: true })],
];

describe.each(classes)('%s', (_name, make) => {
  test.each([1, 2, 3, 4])('each param has the bits of an optimizer of its own, seed %i', (seed) => {
    const next = random(seed);
    const int = (n: number): number => Math.floor(next() * n);
    const together = Array.from({ length: count }, (_, i) => numbers(length, i));
    const apart = together.map((w) => w.slice());
    // Two groups: the first has two params.
    const all = make([{ params: together.slice(0, 2) }, { params: together.slice(2) }]);
    const each = apart.map((w) => make([{ params: [w] }]));
    const grads = together.map((_, i) => numbers(length, 100 + i));
    const groupOf = (i: number): number => (i < 2 ? 0 : 1);
    const shown = (): string[] => [
      together.map(bits).join() + ((all.emaParams ?? []) as Float32Array[]).map(bits).join(),
      apart.map(bits).join() +
        each
          .flatMap(({ emaParams }) => (emaParams ?? []) as Float32Array[])
          .map(bits)
          .join(),
    ];
    let saved: StateDict[] | undefined;
    for (let event = 0; event < 100; event++) {
      const what = int(10);
      const g = int(2);
      if (what === 0) {
        const lr = 0.01 * (1 + int(5));
        (all.paramGroups[g] as Any).lr = lr;
        for (const [i, one] of each.entries()) if (groupOf(i) === g) (one.paramGroups[0] as Any).lr = lr;
      } else if (what === 1) {
        if (saved === undefined || int(3) === 0) saved = [all, ...each].map((one) => one.stateDict());
        else for (const [k, one] of [all, ...each].entries()) one.loadStateDict(saved[k]!);
      } else if (what === 2) {
        for (const one of [all, ...each]) resetState(one);
      } else {
        // Most steps have all gradients, as arrays that were seen before; some have none, or a new one.
        const isPartial = int(3) === 0;
        for (let i = 0; i < count; i++) if (int(5) === 0) grads[i] = numbers(length, 1000 * event + i);
        const given = grads.map((grad) => (isPartial && int(2) === 0 ? null : grad));
        all.step(given);
        for (const [i, one] of each.entries()) one.step([given[i]!]);
      }
      const [a, b] = shown();
      expect(a, `event ${event}`).toBe(b);
    }
  });
});
