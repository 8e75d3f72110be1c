// Muon: which params it takes, and what the others get.
import { describe, expect, test } from 'vitest';
import { AdamW, createOptimizer, Muon } from '../../../lib/index.js';
import { bits, numbers, refused } from '../../support/rig.js';

const matrix = (rows: number, columns: number) => ({ data: numbers(rows * columns, 1), shape: [rows, columns] });
const make = () => ({
  table: matrix(3, 5),
  hidden: matrix(4, 3),
  bias: numbers(4, 2),
  line: { data: numbers(3, 3), shape: [3] },
});
const grads = (seed: number) => ({
  table: numbers(15, seed),
  hidden: numbers(12, seed + 1),
  bias: numbers(4, seed + 2),
  line: numbers(3, seed + 3),
});
const grouped = ({ table, ...params }: ReturnType<typeof make>) => [{ params: { table }, useMuon: false }, { params }];

describe('which params', () => {
  test('a matrix takes Muon; a vector, and a group with useMuon: false, take AdamW', () => {
    const muon = new Muon(grouped(make()));
    expect(['table', 'hidden', 'bias', 'line'].map((name) => muon.methodOf(name))).toEqual([
      'adamw',
      'muon',
      'adamw',
      'adamw',
    ]);
    const { state } = muon.stateDict();
    const names = (key: string) => Object.keys(state[key]!);
    expect(names('hidden')).toEqual(['step', 'momentumBuffer']);
    for (const key of ['table', 'bias', 'line']) expect(names(key)).toEqual(['step', 'expAvg', 'expAvgSq']);
    expect(new Muon([numbers(2, 1), matrix(1, 2)]).methodOf(1)).toBe('muon');
    expect(new Muon(numbers(2, 1)).methodOf(0)).toBe('adamw');
  });

  test('toString lists the params by method', () => {
    const text = new Muon(make(), {
      nsCoefficients: [
        [3, -4, 2],
        [2, -1.5, 0.5],
      ],
    }).toString();
    expect(text).toContain(
      '    muon (2, 27 elements):\n      table: [3, 5]\n      hidden: [4, 3]\n    adamw (2, 7 elements):\n      bias: [4]\n      line: [3]\n',
    );
    expect(text).toContain('    nsCoefficients: [[3, -4, 2], [2, -1.5, 0.5]]\n');
    expect(text).not.toContain('params (');
  });

  test('an unknown name is refused, and so is a disposed optimizer', () => {
    const muon = new Muon(make());
    refused(TypeError, /^Muon\.methodOf: name: "bais", expected the name of a param$/, () => muon.methodOf('bais'));
    muon.dispose();
    refused(TypeError, /^Muon: this: a disposed optimizer/, () => muon.methodOf('bias'));
  });

  test('the vectors get the bits of AdamW, with the options of Muon or their own', () => {
    for (const [options, adam] of [
      [
        { lr: 0.1, weightDecay: 0.2 },
        { lr: 0.1, weightDecay: 0.2, betas: [0.9, 0.95], eps: 1e-10 },
      ],
      [
        { lr: 9, adamLr: 0.1, weightDecay: 9, adamWeightDecay: 0.3, adamBetas: [0.5, 0.6], adamEps: 1e-3 },
        { lr: 0.1, weightDecay: 0.3, betas: [0.5, 0.6], eps: 1e-3 },
      ],
    ] as const) {
      const [a, b] = [make(), make()];
      const [muon, adamw] = [
        new Muon(grouped(a), options as never),
        new AdamW({ table: b.table, bias: b.bias, line: b.line }, adam as never),
      ];
      for (let step = 0; step < 3; step++) {
        const { hidden: _, ...ofAdam } = grads(step);
        muon.step(grads(step));
        adamw.step(ofAdam);
      }
      for (const [x, y] of [
        [a.table.data, b.table.data],
        [a.bias, b.bias],
        [a.line.data, b.line.data],
      ] as const)
        expect(bits(x)).toBe(bits(y));
    }
  });

  test('a matrix beside vectors gets the bits that it gets alone', () => {
    const [together, alone] = [make(), make()];
    const first = new Muon(together, { lr: 0.1, ema: 0.5 });
    const second = new Muon({ hidden: alone.hidden }, { lr: 0.1, ema: 0.5 });
    for (let step = 0; step < 3; step++) {
      first.step(grads(step));
      second.step({ hidden: grads(step).hidden });
    }
    expect(bits(together.hidden.data)).toBe(bits(alone.hidden.data));
    expect(bits((first.emaParams as Record<string, Float32Array>)['hidden']!)).toBe(
      bits((second.emaParams as Record<string, Float32Array>)['hidden']!),
    );
  });

  test('useMuon can change: the state is that of the other method', () => {
    const muon = new Muon(make());
    muon.step(grads(1));
    muon.paramGroups[0]!.useMuon = false;
    expect(muon.methodOf('hidden')).toBe('adamw');
    muon.step(grads(2));
    expect(Object.keys(muon.stateDict().state['hidden']!)).toEqual(['step', 'expAvg', 'expAvgSq']);
  });
});

describe('options', () => {
  test('nsSteps beside a list of triples is refused', () => {
    const triples = [[3, -4, 2]] as const;
    const wrong = () => new Muon(make(), { nsSteps: 3, nsCoefficients: triples });
    refused(RangeError, /^Muon: nsSteps: 3, expected undefined, because nsCoefficients lists/, wrong);
    expect(new Muon(make(), { nsCoefficients: triples }).paramGroups[0]!.nsCoefficients).toEqual(triples);
  });

  test('a list of triples holds numbers, three each, at most ten triples', () => {
    const list = (nsCoefficients: unknown) => () => new Muon(make(), { nsCoefficients } as never);
    refused(
      TypeError,
      /^Muon: nsCoefficients\[1\]: .*expected a list of 3/,
      list([
        [1, 2, 3],
        [1, 2],
      ]),
    );
    refused(TypeError, /^Muon: nsCoefficients\[0\]\[2\]: a function/, list([[1, 2, () => 1]]));
    refused(RangeError, /^Muon: nsCoefficients\[0\]\[0\]: NaN/, list([[Number.NaN, 2, 3]]));
    refused(RangeError, /^Muon: nsCoefficients: 11 lists, expected at most 10/, list(Array(11).fill([1, 2, 3])));
    refused(TypeError, /^Muon: nsCoefficients: /, list([]));
    list(Array(10).fill([1, 2, 3]))();
  });

  test('a list is kept as a frozen copy', () => {
    const given = [[3, -4, 2]] as [number, number, number][];
    const muon = new Muon(make(), { nsCoefficients: given });
    given[0]![0] = 9;
    expect(muon.paramGroups[0]!.nsCoefficients).toEqual([[3, -4, 2]]);
    expect(Object.isFrozen((muon.paramGroups[0]!.nsCoefficients as readonly unknown[])[0])).toBe(true);
  });
});

describe('saving', () => {
  test('a loaded run continues with the same bits, lists of triples included', () => {
    const [a, b] = [make(), make()];
    const options = {
      lr: 0.1,
      nsCoefficients: [
        [3, -4, 2],
        [2, -1.5, 0.5],
      ],
      ema: 0.9,
    } as const;
    const [first, second] = [new Muon(grouped(a), options), new Muon(grouped(b), { ema: 0.9 })];
    first.step(grads(1));
    for (const key of ['table', 'hidden', 'line'] as const) b[key].data.set(a[key].data);
    b.bias.set(a.bias);
    second.loadStateDict(structuredClone(first.stateDict()));
    for (const optimizer of [first, second]) optimizer.step(grads(2));
    expect(bits(b.hidden.data)).toBe(bits(a.hidden.data));
    expect(second.stateDict()).toEqual(first.stateDict());
  });

  test('createOptimizer knows it', () => {
    const muon = createOptimizer('muon', make(), { lr: 0.1 });
    expect(muon.methodOf('hidden')).toBe('muon');
  });
});

test('matrices without rows, columns or gradients are left alone', () => {
  const params = [matrix(0, 3), matrix(3, 0), matrix(2, 2), matrix(2, 3)];
  const muon = new Muon(params);
  const before = bits(params[3]!.data);
  muon.step([params[0]!.data.slice(), params[1]!.data.slice(), numbers(4, 2), null]);
  expect(bits(params[3]!.data)).toBe(before);
  expect(params[2]!.data.every(Number.isFinite)).toBe(true);
});

test('a gradient of 0 moves nothing but the decay', () => {
  const { data, shape } = matrix(3, 4);
  const before = data.slice();
  new Muon({ data, shape }, { lr: 0.5, weightDecay: 0.5 }).step(new Float32Array(12));
  expect(bits(data)).toBe(bits(before.map((w) => 0.75 * w)));
});

test('sparse gradients are refused', () => {
  const muon = new Muon(matrix(3, 2));
  refused(TypeError, /Muon.*sparse/, () => muon.step({ rows: Int32Array.of(0), values: numbers(2, 1) }));
});
