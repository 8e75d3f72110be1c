// The JavaScript reference and every instruction set of this machine give the same bits.
import { describe, expect, test } from 'vitest';
import type { Declaration } from '../../lib/core/declaration.js';
import { type Engine, maxSums } from '../../lib/engine/engine.js';
import type { OptimizerClass } from '../../lib/optimizers/index.js';
import { allClasses } from '../support/classes.js';
import {
  expectEqual,
  firstDifference,
  floats,
  parityEngines,
  reference,
  type Trace,
  withEngine,
} from '../support/engines.js';
import { random } from '../support/random.js';
import { all, sample } from '../support/sample.js';

type Options = Readonly<Record<string, unknown>>;

const halving = (step: number): number => 0.1 / step;

/** Options that reach each kernel of each class. A test below checks that no kernel is missed. */
const variants: Readonly<Record<string, readonly Options[]>> = {
  SGD: [
    { lr: 0.1 },
    { lr: halving, momentum: 0.9 },
    { lr: halving, momentum: (step: number) => 1 - 1 / (step + 1), nesterov: true },
    { lr: halving, momentum: 0.9, momentumForm: 'buffer', dampening: 0.1 },
    { lr: halving, momentum: 0.9, momentumForm: 'buffer', nesterov: true },
    { lr: halving, momentum: 0.9, cautious: true },
    { lr: halving, momentum: 0.9, nesterov: true, cautious: true },
    { lr: halving, momentum: 0.9, momentumForm: 'buffer', dampening: 0.1, cautious: true },
    { lr: halving, momentum: 0.9, momentumForm: 'buffer', nesterov: true, cautious: true },
  ],
  Adagrad: [{ lr: halving, lrDecay: 0.1, initialAccumulatorValue: 0.1 }, {}, { lr: halving, rowWise: true }],
  RMSprop: [{ lr: halving }, { momentum: 0.9 }, { centered: true }, { centered: true, momentum: 0.9, alpha: 0.9 }],
  Adam: [
    { lr: halving },
    { amsgrad: true },
    { biasCorrection: false, betas: [0.5, 0.9] },
    { lr: halving, cautious: true },
    { amsgrad: true, cautious: true },
    { lr: halving, rowWise: true },
    { lr: halving, rowSteps: true },
    { lr: halving, rowWise: true, rowSteps: true, betas: [0.5, 0.9] },
  ],
  AdamW: [
    { lr: halving, weightDecay: 0.1 },
    { amsgrad: true, weightDecay: 0.1 },
    { cautious: true, weightDecay: 0.1 },
    { cautious: true, amsgrad: true, weightDecay: 0.1 },
  ],
  Adadelta: [{ lr: halving }, { rho: 0.5, eps: 0 }],
  Adamax: [{ lr: halving }, { betas: [0.5, 0.6], eps: 0 }, { cautious: true }],
  NAdam: [{ lr: halving }, { momentumDecay: 0.5, decoupledWeightDecay: true, weightDecay: 0.1 }, { cautious: true }],
  RAdam: [{ lr: halving }, { betas: [0.9, 0] }, { decoupledWeightDecay: true, weightDecay: 0.1 }, { cautious: true }],
  Lion: [{ lr: halving }, { betas: [0, 0.5], weightDecay: 0.1 }, { cautious: true }],
  Muon: [
    { lr: halving, weightDecay: 0.1 },
    { nesterov: false, adjustLrFn: 'match_rms_adamw', nsSteps: 3, adamLr: 0.01 },
    {
      nsCoefficients: [
        [4, -6, 3],
        [2, -1.5, 0.5],
      ],
      outputs: 'columns',
      adamWeightDecay: 0.1,
    },
  ],
  Shampoo: [
    { lr: halving, weightDecay: 0.1, maxPreconditionerDim: 32 },
    { betas: [0.9, 0.99], grafting: 'adam', eps: 1e-6, preconditionFrequency: 2, maxPreconditionerDim: 7 },
    { betas: [0, 1], grafting: 'adagrad', startPreconditioningStep: 2, maxPreconditionerDim: 24 },
    { betas: [0.5, 0.9], grafting: 'sgd', biasCorrection: false, maxPreconditionerDim: 16 },
  ],
  SOAP: [
    { lr: halving, preconditionFrequency: 1, maxPreconditionerDim: 70 },
    { shampooBeta: 0.5, normalizeGrads: true, weightDecay: 0.1, preconditionFrequency: 2, maxPreconditionerDim: 10 },
  ],
  LARS: [{ lr: 10 }, { lr: halving, momentum: 0.5, weightDecay: 0.1, trustCoefficient: 1 }],
  LAMB: [{ lr: halving }, { clamp: 2, weightDecay: 0.1, biasCorrection: false }],
  Adafactor: [
    { weightDecay: 0.1 },
    { lr: halving, beta1: 0.9, weightDecay: 0.1 },
    { warmupInit: true, clipThreshold: 0.5, decayRate: -0.5 },
    { lr: 0.1, scaleParameter: false, eps1: 1e-3, clipThreshold: 100 },
  ],
  AdEMAMix: [{ lr: halving }, { alphaSteps: 2, beta3Steps: 4, weightDecay: 0.1 }, { cautious: true }],
  Rprop: [{ lr: halving }, { etas: [0.3, 3], stepSizes: [0.01, 0.02] }],
  FTRL: [{ lr: halving }, { l1: 0.1, l2: 0.1 }, { beta: 0, initialAccumulatorValue: 0, l1: 1 }],
  ASGD: [{ lr: halving }, { lr: 1, lambd: 0.5, t0: 0 }],
  ScheduleFreeSGD: [{ lr: halving }, { warmupSteps: 2, r: 1, momentum: 0 }],
  ScheduleFreeAdamW: [{ lr: halving }, { warmupSteps: 2, r: 0.5, weightLrPower: 1, weightDecay: 0.1 }],
  AdaBelief: [
    { lr: halving, weightDecay: 0.1 },
    { rectify: true, betas: [0.9, 0.999] },
  ],
  Yogi: [
    { lr: halving, weightDecay: 0.1 },
    { betas: [0.5, 0.6], initialAccumulatorValue: 0, eps: 1e-8 },
  ],
  ADOPT: [{ lr: halving }, { decoupledWeightDecay: true, weightDecay: 0.1, eps: 0 }, { useClipping: false }],
  Adan: [
    { lr: halving, weightDecay: 0.1 },
    { noProx: true, weightDecay: 0.1, betas: [0.5, 0.6, 0.7] },
  ],
  Sophia: [{ lr: halving }, { eps: 0.5, weightDecay: 0.01 }],
  SignSGD: [{ lr: halving, weightDecay: 0.1 }, { momentum: 0.5 }],
  Signum: [{ lr: halving }, { momentum: (step: number) => 1 / step - 0.1, weightDecay: 0.1 }],
  AdamaxW: [{ lr: halving, weightDecay: 0.1 }],
  ProximalAdagrad: [{ lr: halving, l1: 0.5 }, { eps: 0 }, { eps: 0, l1: 0.1 }],
  AdagradDA: [{ lr: halving, l1: 0.1 }, { eps: 0 }, { eps: 0, l1: 0.1 }],
  OptimisticGradientDescent: [
    { lr: halving, weightDecay: 0.1 },
    { alpha: 0.5, beta: 2 },
  ],
  OptimisticAdam: [
    { lr: halving, weightDecay: 0.1 },
    { nesterov: true, alpha: 0.5, beta: 2 },
  ],
  SimplifiedAdEMAMix: [{ lr: halving, weightDecay: 0.1 }, { alpha: 10 }],
  COCOB: [{ lr: halving }, { alpha: 0.5, eps: 1e-3 }],
  MADGRAD: [
    { lr: halving },
    { eps: 0, momentum: 0 },
    { decoupledWeightDecay: true, weightDecay: 0.1, lr: (step: number) => (step === 2 ? 0 : 0.1) },
  ],
  StableAdamW: [{ lr: halving }, { betas: [0.5, 0], eps: 0.1, weightDecay: 0.1 }],
  NovoGrad: [{ lr: halving }, { betas: [0.5, 0.5], eps: 0.1, gradAveraging: true, weightDecay: 0.1 }],
  AdamMini: [{ lr: halving, weightDecay: 0.1 }, { block: 'tensor', betas: [0.5, 0.6], eps: 0.1 }, { block: 1 }],
  SM3: [{ lr: halving, weightDecay: 0.1 }, { momentum: 0, eps: 0.1 }, { momentum: 0.5 }],
  Prodigy: [
    { d0: 1e-3 },
    { d0: 0.1, biasCorrection: true, safeguardWarmup: true, weightDecay: 0.1, dCoef: 2, growthRate: 1.1 },
    { d0: 0.1, lr: halving, decoupledWeightDecay: false, beta3: 0.5, betas: [0.5, 0.9], eps: 0 },
  ],
  PolyakSGD: [
    { maxLr: Number.POSITIVE_INFINITY },
    { lr: halving, maxLr: 1e-3, fMin: 3, weightDecay: 0.1 },
    { variant: 'sps+', fMin: 3, eps: 0.1, maxLr: 0.1 },
  ],
  Momo: [{ lr: 1e30 }, { lr: halving, beta: 0.5, weightDecay: 0.1, lowerBound: -3 }],
  MomoAdam: [{ lr: 1e30 }, { lr: halving, betas: [0.5, 0.9], eps: 0.1, weightDecay: 0.1, lowerBound: -3 }],
  DAdaptAdamW: [
    { d0: 1e-3 },
    { d0: 0.1, biasCorrection: true, weightDecay: 0.1, growthRate: 1.1 },
    { d0: 0.1, lr: halving, decoupledWeightDecay: false, betas: [0.5, 0.9], eps: 1e-3 },
  ],
  DoG: [{ repsRel: 0.1 }, { lr: halving, initEta: 0.1, eps: 0 }, { layerWise: true, weightDecay: 0.1 }],
  DoWG: [{}, { lr: halving, initEstimSqDist: 10, eps: 0.1, weightDecay: 0.1 }],
  Fromage: [{ lr: halving }, { lr: 0.5, pBound: 0.9 }],
  MARS: [
    { lr: halving, weightDecay: 0.1 },
    { betas: [0.5, 0], gamma: 1, eps: 0.1 },
    { lr: halving, marsType: 'lion' },
  ],
  SGDOptimizer: [{ lr: halving }],
  MomentumOptimizer: [
    { lr: halving, momentum: 0.9 },
    { lr: halving, momentum: 0.9, nesterov: true },
  ],
  AdagradOptimizer: [{ lr: halving }, { lr: 0.1, eps: 0, initialAccumulatorValue: 0 }],
  AdadeltaOptimizer: [{ lr: halving }, { rho: 0.5, eps: 1e-3 }],
  AdamOptimizer: [{ lr: halving }, { betas: [0.5, 0.9] }],
  AdamaxOptimizer: [
    { lr: halving, lrDecay: 0.1 },
    { betas: [0.5, 0.6], eps: 0 },
  ],
  RMSPropOptimizer: [
    { lr: halving, momentum: 0.9 },
    { lr: 0.1, centered: true, momentum: 0.9 },
  ],
};

/** Options of all classes, each alone and all together. */
const shared: readonly Options[] = [
  {},
  { weightDecay: 0.01 },
  { clipValue: 0.01, maximize: true },
  { ema: 0.9 },
  { zeroGrads: true },
  { clipNorm: 1, skipNonFinite: true },
  { weightDecay: 0.01, clipValue: 0.5, maximize: true, ema: 0.99, zeroGrads: true, clipNorm: 3, gradNorm: true },
];

/** The options of a class combined with the shared ones. Some classes have no weightDecay. */
function casesOf({ name, hyperParameters }: Declaration): Options[] {
  const known = (options: Options): Options =>
    Object.fromEntries(
      Object.entries(options).filter(([key]) => key !== 'weightDecay' || 'weightDecay' in hyperParameters),
    );
  // Shared options are the same code around every formula. The first variant gets each of them, the others none and
  // all.
  return (variants[name] ?? [{}]).flatMap((own, i) =>
    (i === 0 ? shared : [shared[0] as Options, shared.at(-1) as Options]).map((common) =>
      known({ ...common, ...own, ...('weightDecay' in common ? common : {}) }),
    ),
  );
}

/** The formulas of RAdam and of AdaBelief with `rectify` change in their sixth step. */
const stepsOf = (name: string): number => (name === 'RAdam' || name === 'AdaBelief' ? 7 : 3);

const lengths = [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 1000];

/** Whether a kernel of these options keeps numbers per matrix row. */
const needsShape = (options: Options): boolean => 'rowWise' in options || 'rowSteps' in options;

type ShapeOf = (length: number) => [number, number] | undefined;

/** Rows and columns of a param of this length. */
function shapeOf(length: number): [number, number] | undefined {
  const columns = [2003, 125, 7, 3, 2].find((c) => length % c === 0) ?? 1;
  return [length / columns, columns];
}

interface Inputs {
  readonly params: readonly Float32Array[];
  readonly grads: readonly (readonly (Float32Array | null)[])[];
}

/** Params and gradients of several steps, in which some gradients are null. The last ones are kept for the next engine. */
let made: { key: string; inputs: Inputs } | undefined;
function inputsOf(tensors: readonly number[], wild: boolean, steps: number, numbers: typeof floats): Inputs {
  const key = `${tensors} ${wild} ${steps} ${numbers}`;
  if (made?.key === key) return made.inputs;
  const next = random(tensors.length + 7);
  const params = tensors.map((length) => numbers(length, next, wild));
  const grads = Array.from({ length: steps }, (_, step) =>
    tensors.map((length, i) => (step === 1 && i % 3 === 1 ? null : numbers(length, next, wild))),
  );
  made = { key, inputs: { params, grads } };
  return made.inputs;
}

/** Takes several steps over tensors of these lengths, and returns all results. */
function run(
  engine: Engine,
  optimizer: OptimizerClass,
  options: Options,
  tensors: readonly number[],
  wild: boolean,
  steps = stepsOf(optimizer.optimizerName),
  shape: ShapeOf = shapeOf,
  numbers: typeof floats = floats,
): Trace {
  return withEngine(engine, () => {
    const inputs = inputsOf(tensors, wild, steps, numbers);
    const params = inputs.params.map((param) => param.slice());
    const instance = new optimizer(
      params.map((data) => {
        const rowsAndColumns = shape(data.length);
        return rowsAndColumns === undefined ? data : { data, shape: rowsAndColumns };
      }),
      options,
    );
    const norms: (number | undefined)[] = [];
    const arrays: Float32Array[] = [...params];
    for (const given of inputs.grads) {
      const grads = given.map((grad) => grad?.slice() ?? null);
      norms.push(instance.step(grads, { gradScale: 0.7 }).gradNorm);
      arrays.push(...grads.filter((g) => g !== null));
    }
    for (const state of Object.values(instance.stateDict().state)) {
      arrays.push(...Object.values(state).filter((v): v is Float32Array => v instanceof Float32Array));
    }
    return { arrays, norms };
  });
}

describe.each(allClasses.map(([optimizer, declaration]) => [declaration.name, optimizer, declaration] as const))(
  '%s',
  (name, optimizer, declaration) => {
    const cases = sample(casesOf(declaration), 3);

    test('every instruction set gives the bits of the reference', () => {
      for (const wild of [false, true]) {
        for (const options of cases) {
          const expected = run(reference, optimizer, options, lengths, wild);
          for (const engine of parityEngines) {
            const where = `${engine.isa} ${String(Object.entries(options))}`;
            expectEqual(run(engine, optimizer, options, lengths, wild), expected, where);
          }
        }
      }
    });

    // For classes whose kernel or state depends on the shape.
    const forms = Object.values(declaration.kernels);
    const shapes = forms.some(({ layout, matrix }) => layout !== undefined || matrix !== undefined);
    test.runIf(shapes && declaration.denseOnly !== undefined)(
      'params with and without a shape give the bits of the reference',
      () => {
        const flat = (): undefined => undefined;
        for (const wild of [false, true])
          for (const options of cases) {
            const expected = run(reference, optimizer, options, lengths, wild, 3, flat);
            for (const engine of parityEngines) {
              const where = `${engine.isa} ${String(Object.entries(options))}`;
              expectEqual(run(engine, optimizer, options, lengths, wild, 3, flat), expected, where);
            }
          }
        // One row, one column, rows that end within a vector, a piece or a chunk, more rows than a chunk has elements.
        const sizes = [
          [1, 7],
          [7, 1],
          [3, 5],
          [125, 8],
          [8, 125],
          [70, 131],
          [20_000, 3],
          [3, 20_000],
          [20_000, 1],
          [1, 20_000],
          [3, 0],
          [0, 3],
        ] as const;
        for (const [rows, columns] of sample(sizes, 4)) {
          const shape = (): [number, number] => [rows, columns];
          // Without the largest floats, whose squares would make all means infinite.
          const moderate: typeof floats = (...args) => floats(...args).map((v) => Math.max(-1e4, Math.min(1e4, v)));
          for (const options of sample(variants[name] ?? [{}], 2)) {
            const more = { ...options, ema: 0.9, zeroGrads: true };
            const expected = run(reference, optimizer, more, [rows * columns], false, 3, shape, moderate);
            const where = `${rows}×${columns} ${String(Object.entries(options))}`;
            expect(
              expected.arrays.every((array) => array.every(Number.isFinite)),
              where,
            ).toBe(true);
            for (const engine of parityEngines)
              expectEqual(
                run(engine, optimizer, more, [rows * columns], false, 3, shape, moderate),
                expected,
                `${engine.isa} ${where}`,
              );
          }
        }
      },
    );

    test('a param of several chunks gives the bits of the reference', () => {
      for (const own of sample(variants[name] ?? [{}], 2)) {
        const options = { ...own, clipNorm: 1, ema: 0.9 };
        const length = all ? 100_150 : 33_000;
        const expected = run(reference, optimizer, options, [length], false, 2);
        for (const engine of parityEngines)
          expectEqual(run(engine, optimizer, options, [length], false, 2), expected, engine.isa);
      }
    });
  },
);

/** An engine whose plans take each step in two halves, as with the numbers of other plans. */
const inHalves = (engine: Engine): Engine => ({
  ...engine,
  createPlan(count, constants) {
    const plan = engine.createPlan(count, constants);
    const sums = new Float64Array(maxSums * count);
    const step = (): void => {
      plan.measureSums(sums);
      plan.stepWithSums(sums);
    };
    return {
      step,
      setTensor: (...given) => plan.setTensor(...given),
      setGrad: (i, grad) => plan.setGrad(i, grad),
      setRowGrad: (i, rows, values) => plan.setRowGrad(i, rows, values),
      stepAsync: (done) => plan.stepAsync(done),
      measureSums: (given) => plan.measureSums(given),
      stepWithSums: (given) => plan.stepWithSums(given),
      free: () => plan.free(),
    };
  },
});

const withNumbers = allClasses.flatMap(([optimizer, { name, kernels }]) =>
  Object.values(kernels).some(({ numbers }) => numbers !== undefined) ? [[name, optimizer] as const] : [],
);

test.each(withNumbers)('%s: a step in two halves gives the bits of one', (name, optimizer) => {
  for (const own of variants[name] ?? [{}]) {
    const options = { ...own, ema: 0.9, zeroGrads: true };
    const expected = run(reference, optimizer, options, [20, 17_000, 1], false, 3);
    for (const engine of [reference, ...parityEngines])
      expectEqual(run(inHalves(engine), optimizer, options, [20, 17_000, 1], false, 3), expected, engine.isa);
  }
});

test('the variants reach every kernel of the table', () => {
  const reached = new Set<string>();
  const recording: Engine = {
    ...reference,
    createPlan(count, blocks) {
      const plan = reference.createPlan(count, blocks);
      return {
        setTensor(i, kernel, ...rest) {
          reached.add(kernel);
          plan.setTensor(i, kernel, ...rest);
        },
        setGrad: (i, grad) => plan.setGrad(i, grad),
        setRowGrad: (i, rows, values) => plan.setRowGrad(i, rows, values),
        step: () => plan.step(),
        stepAsync: (done) => plan.stepAsync(done),
        measureSums: (sums) => plan.measureSums(sums),
        stepWithSums: (sums) => plan.stepWithSums(sums),
        free: () => plan.free(),
      };
    },
  };
  for (const [optimizer, { name }] of allClasses) {
    for (const options of variants[name] ?? [{}])
      for (const shape of needsShape(options) ? [shapeOf] : [shapeOf, (): undefined => undefined])
        run(recording, optimizer, options, [3], false, 1, shape);
  }
  expect([...reached].sort()).toEqual(
    [...new Set(allClasses.flatMap(([, { kernels }]) => Object.keys(kernels)))].sort(),
  );
});

test('the comparison fails for one bit, and for a zero of the other sign', () => {
  const a = new Float32Array([1, 0, Number.NaN]);
  const next = new Float32Array(new Uint32Array([new Uint32Array(a.buffer)[0]! + 1]).buffer)[0]!;
  expect(firstDifference(a, a.slice())).toBe(-1);
  expect(firstDifference(a, new Float32Array([next, 0, Number.NaN]))).toBe(0);
  expect(firstDifference(a, new Float32Array([1, -0, Number.NaN]))).toBe(1);
});
