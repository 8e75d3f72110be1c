import { describe, expect, test } from 'vitest';
import { AdamW } from '../../../lib/optimizers/index.js';
import { cosine } from '../../../lib/schedules/index.js';
import { groupBy } from '../../../lib/training/index.js';
import fc from '../../support/property.js';

describe('groupBy', () => {
  const schedule = cosine(0.1, { steps: 10 });
  const kinds = [
    undefined,
    { lr: 0.1 },
    { lr: schedule },
    { betas: [0.5, 0.9] as const },
    { betas: [0.5, 0.99] as const },
    { lr: 0.1, weightDecay: 0 },
  ];

  test('every param is in one group, with its options, in order; no two groups have the same', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.string({ maxLength: 8 }).filter((s) => s !== 'params' && s !== 'data'),
          { minLength: 1, maxLength: 12 },
        ),
        fc.infiniteStream(fc.nat(kinds.length - 1)),
        (names, stream) => {
          const params = Object.fromEntries(names.map((name) => [name, new Float32Array(1)]));
          const kindOf = Object.fromEntries(names.map((name) => [name, stream.next().value as number]));
          // A new object each time, and in another order of its names: equal, not the same.
          const options = (name: string) => {
            const kind = kinds[kindOf[name] as number];
            const entries: [string, unknown][] = Object.entries(kind ?? {}).map(([k, v]) => [
              k,
              Array.isArray(v) ? [...v] : v,
            ]);
            if (name.length % 2) entries.reverse().push(['eps', undefined]);
            return kind && Object.fromEntries(entries);
          };
          const groups = groupBy(params, options);
          const order = Object.keys(params);
          expect(groups.flatMap((group) => Object.keys(group.params)).sort()).toEqual([...order].sort());
          expect(groups.map((group) => order.indexOf(Object.keys(group.params)[0] as string))).toEqual([
            ...new Set(order.map((name) => order.findIndex((other) => kindOf[other] === kindOf[name]))),
          ]);
          for (const { params: own, ...rest } of groups) {
            const inside = Object.keys(own);
            expect(inside).toEqual(order.filter((name) => inside.includes(name)));
            for (const name of inside) {
              expect((own as Record<string, unknown>)[name]).toBe(params[name]);
              expect(rest).toEqual(kinds[kindOf[name] as number] ?? {});
            }
          }
        },
      ),
    );
  });

  test('no decay on biases: each param steps as with an optimizer of its own', () => {
    const make = () => ({ 'fc.weight': new Float32Array([1, -2]), 'fc.bias': new Float32Array([3]) });
    const [together, apart] = [make(), make()];
    const grads = { 'fc.weight': new Float32Array([0.5, 0.25]), 'fc.bias': new Float32Array([-1]) };
    const options = { lr: 0.1, weightDecay: 0.3 };
    const adamw = new AdamW(
      groupBy(together, (name) => (name.endsWith('bias') ? { weightDecay: 0 } : undefined)),
      options,
    );
    const [weight, bias] = [
      new AdamW(apart['fc.weight'], options),
      new AdamW(apart['fc.bias'], { ...options, weightDecay: 0 }),
    ];
    for (let i = 0; i < 3; i++) {
      adamw.step(grads);
      weight.step(grads['fc.weight']);
      bias.step(grads['fc.bias']);
    }
    expect(together).toEqual(apart);
    expect(together['fc.weight'][0]).not.toBe(1);
  });

  test('a param may have any name', () => {
    const params = JSON.parse('{"__proto__": 0, "constructor": 0}');
    for (const name of Object.keys(params)) {
      Object.defineProperty(params, name, { value: new Float32Array(1), enumerable: true });
    }
    const [group] = groupBy(params, () => undefined);
    expect(Object.keys(group?.params as object)).toEqual(['__proto__', 'constructor']);
  });
});
