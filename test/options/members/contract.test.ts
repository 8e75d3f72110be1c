// An option that is read or assigned as a member of its object: an error that says where it is, instead of no effect.
import { expect, test } from 'vitest';
import { optimizerHyperParameters, optionNamesOf } from '../../../lib/core/declaration.js';
import { DataParallel } from '../../../lib/distributed/index.js';
import { OwnWorld } from '../../../lib/distributed/world/own-world.js';
import { SingleTransport } from '../../../lib/distributed/world/single.js';
import * as s from '../../../lib/index.js';
import * as tfjs from '../../../lib/tfjs/index.js';
import { f32 } from '../../support/arrays.js';
import { type Any, classes, titled } from '../../support/rig.js';

const refusals = (object: Any, option: string): string[] =>
  [() => object[option], () => (object[option] = 0.1)].map((act) => {
    try {
      act();
      return 'no error';
    } catch (error) {
      return `${(error as Error).name}: ${(error as Error).message}`;
    }
  });
const twice = (text: string): string[] => [text, text];

/** An optimizer as one of the class that has the name: some cases are of a subclass. */
function asOwnClass(optimizer: Any): Any {
  let Class = optimizer.constructor;
  while (!Object.hasOwn(Class, 'optimizerName')) Class = Object.getPrototypeOf(Class);
  return Object.setPrototypeOf(optimizer, Class.prototype);
}

test.each(titled(classes))('%s: every option', (_, { declaration, make }) => {
  const { name } = declaration;
  const optimizer = asOwnClass(make(f32(1)));
  for (const option of optionNamesOf(declaration)) {
    if (option === 'lr') continue;
    const place = Object.hasOwn(optimizerHyperParameters, option)
      ? `new ${name}(params, { ${option} }), ${option === 'stateDtype' ? 'which alone sets it' : `or its loadStateDict({ ...state, options: { ...state.options, ${option} } })`}`
      : `paramGroups[0].${option}`;
    expect(refusals(optimizer, option)).toEqual(
      twice(`TypeError: ${name}: ${option}: an option, not a member, expected ${place}`),
    );
  }
  expect(optimizer.stateDict()).toEqual(make(f32(1)).stateDict());
});

test('lr, members of the class, and members of the user stay', () => {
  const adam: Any = new s.Adam(f32(1));
  adam.lr = 0.5;
  adam.tag = 'mine';
  adam.paramGroups[0].weightDecay = 0.25;
  expect([adam.lr, adam.tag, adam.paramGroups[0].weightDecay]).toEqual([0.5, 'mine', 0.25]);
  // A subclass may have a member of this name.
  class Named extends s.AdamW {
    readonly eps = 'its own';
    get amsgrad(): string {
      return 'its own';
    }
  }
  const named: Any = new Named(f32(1));
  expect([named.eps, named.amsgrad]).toEqual(['its own', 'its own']);
  expect(Object.keys(new s.SGD(f32(1), { lr: 1 }))).toEqual([]);
});

test('a subclass of the user assigns these names as its own', () => {
  const names = ['weightDecay', 'clipNorm', 'learningRate', 'zero_grad'];
  const own = (Class: Any, ...given: unknown[]): Any =>
    new (class extends Class {
      constructor() {
        super(...given);
        for (const name of names) {
          expect((this as Any)[name]).toBe(undefined);
          (this as Any)[name] = 'its own';
        }
      }
    })();
  // The subclass first: the hints of the class come with its first optimizer.
  const made = [own(s.NAdam, f32(1)), own(s.Lookahead, new s.Adam(f32(1)))];
  for (const [i, one] of made.entries()) {
    expect(names.map((name) => one[name])).toEqual(names.map(() => 'its own'));
    expect(Object.keys(one)).toEqual(names);
    one.weightDecay = 'changed';
    expect(one.weightDecay).toBe('changed');
    const ours: Any = i === 0 ? new s.NAdam(f32(1)) : new s.Lookahead(new s.Adam(f32(1)));
    expect(refusals(ours, 'weightDecay')[1]).toContain('an option, not a member');
  }
  const scale = new (class extends s.LossScale {
    constructor() {
      super();
      (this as Any).growthFactor = 'its own';
    }
  })();
  expect((scale as Any).growthFactor).toBe('its own');
  const tf: Any = new (class extends tfjs.SGDOptimizer {
    constructor() {
      super(0.1);
      (this as Any).weightDecay = (this as Any).zeroGrad = 'its own';
    }
  })();
  expect([tf.weightDecay, tf.zeroGrad]).toEqual(['its own', 'its own']);
});

test('names of PyTorch and Keras', () => {
  const adam: Any = new s.Adam(f32(1));
  const places = {
    weight_decay: 'paramGroups[0].weightDecay',
    learning_rate: 'lr',
    learningRate: 'lr',
    param_groups: 'paramGroups',
    state_dict: 'stateDict()',
    zero_grad: 'the option zeroGrads: true, or grad.fill(0)',
  };
  for (const [name, place] of Object.entries(places))
    expect(refusals(adam, name)).toEqual(twice(`TypeError: Adam: ${name}: no member, expected ${place}`));
});

test('what the error of a member says is so: a loaded state sets an option of the optimizer as a whole', () => {
  const adam = new s.Adam(f32(1));
  const state = adam.stateDict();
  adam.loadStateDict({ ...state, options: { ...state.options, clipNorm: 1, zeroGrads: true } });
  expect(adam.stateDict().options).toMatchObject({ clipNorm: 1, zeroGrads: true });
});

test.each(titled(classes))(
  '%s: a group refuses what is no option of it, and says what is',
  (_, { declaration, make }) => {
    const { name } = declaration;
    const optimizer = make(f32(1));
    const group: Any = optimizer.paramGroups[0];
    const before = optimizer.stateDict();
    const assigning = (option: string): string => {
      try {
        group[option] = 0.5;
        return 'no error';
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    };
    for (const [other, ours] of Object.entries({ learningRate: 'lr', learning_rate: 'lr', clip_value: 'clipValue' }))
      expect(assigning(other)).toContain(`TypeError: ${name}: ${other}: unknown option, expected ${ours} (it has lr, `);
    expect(assigning('clipNorm')).toBe(
      `TypeError: ${name}: clipNorm: an option of the optimizer as a whole, expected new ${name}(params, { clipNorm }), or its loadStateDict({ ...state, options: { ...state.options, clipNorm } })`,
    );
    for (const key of ['__proto__', 'toString', 'then']) expect(assigning(key)).toContain(`${key}: unknown option`);
    expect(optimizer.stateDict()).toEqual(before);
    // Reading is that of any object.
    expect([group.learningRate, 'learningRate' in group, { ...group }.lr]).toEqual([undefined, false, group.lr]);
  },
);

test('a class whose prototype is frozen works', () => {
  class Frozen extends s.AdamW {
    static {
      Object.freeze(Frozen.prototype);
    }
  }
  expect(new Frozen(f32(1)).lr).toBe(1e-3);
});

test('wrappers: the options of the inner optimizer, and their own', () => {
  const inner = (): s.SGD => new s.SGD(f32(1), { lr: 0.1 });
  const world = new OwnWorld(new SingleTransport(), 1);
  const wrappers: [string, Any][] = [
    ['Lookahead', new s.Lookahead(inner())],
    ['SAM', new s.SAM(inner())],
    ['DataParallel', new (DataParallel as Any)({ who: 'DataParallel', optimizer: inner(), base: inner(), world })],
  ];
  for (const [who, wrapper] of wrappers) {
    expect(refusals(wrapper, 'weightDecay')).toEqual(
      twice(`TypeError: ${who}: weightDecay: an option, not a member, expected paramGroups[0].weightDecay`),
    );
    expect(refusals(wrapper, 'learningRate')).toEqual(twice(`TypeError: ${who}: learningRate: no member, expected lr`));
    expect(refusals(wrapper, 'clipNorm')[1]).toContain(
      'expected new Optimizer(params, { clipNorm }), or its loadStateDict({ ...state, options: { ...state.options, clipNorm } })',
    );
  }
  expect(refusals(wrappers[2]![1], 'compression')).toEqual(
    twice(
      'TypeError: DataParallel: compression: an option, not a member, expected DataParallel.create(…, { compression }), which alone sets it',
    ),
  );
  expect(refusals(wrappers[0]![1], 'k')[1]).toBe(
    'TypeError: Lookahead: k: an option, not a member, expected new Lookahead(…, { k })',
  );
});

test('wrappers of the same class have the options of the optimizer that each has inside', () => {
  const world = new OwnWorld(new SingleTransport(), 1);
  const around: [string, (optimizer: s.Optimizer) => Any][] = [
    ['Lookahead', (optimizer) => new s.Lookahead(optimizer)],
    ['SAM', (optimizer) => new s.SAM(optimizer)],
    [
      'DataParallel',
      (optimizer) => new (DataParallel as Any)({ who: 'DataParallel', optimizer, base: optimizer, world }),
    ],
  ];
  for (const [who, wrap] of around) {
    const [adam, rprop] = [wrap(new s.Adam(f32(1))), wrap(new s.Rprop(f32(1)))];
    for (const [one, option, has] of [
      [adam, 'betas', true],
      [rprop, 'betas', false],
      [adam, 'etas', false],
      [rprop, 'etas', true],
      [rprop, 'weightDecay', false],
    ])
      expect(refusals(one, option)).toEqual(
        has
          ? twice(`TypeError: ${who}: ${option}: an option, not a member, expected paramGroups[0].${option}`)
          : twice('no error'),
      );
    expect([rprop.betas, adam.etas]).toEqual([0.1, 0.1]);
  }
});

test('the hint for weight_decay is that of a class with weightDecay', () => {
  for (const { make } of classes) {
    const optimizer = asOwnClass(make(f32(1)));
    const [, assigned] = refusals(optimizer, 'weight_decay');
    if ('weightDecay' in optimizer.paramGroups[0]) expect(assigned).toContain('expected paramGroups[0].weightDecay');
    else expect(assigned).toBe('no error');
  }
});

test('optimizers of TensorFlow.js: members that they have by its names stay', () => {
  const made: [string, Any][] = [
    ['Adam', tfjs.wrap(s.Adam, { clipNorm: 1 })],
    ['AdamW', tfjs.adamW(0.1) as Any],
    ['SGDOptimizer', tfjs.sgd(0.1)],
  ];
  for (const [who, optimizer] of made) {
    const place = 'optimizer.paramGroups[0].weightDecay, after the first step';
    expect(refusals(optimizer, 'weightDecay')).toEqual(
      twice(`TypeError: ${who}: weightDecay: an option, not a member, expected ${place}`),
    );
    expect(refusals(optimizer, 'clipNorm')[1]).toContain('expected an option { clipNorm } where it is made');
    expect(optimizer.lr).toBeGreaterThan(0);
    optimizer.learningRate = 0.5;
    expect(optimizer.lr).toBe(0.5);
  }
});

test('everything else that takes options', () => {
  const fn = (): number => 1;
  const others: [Any, string][] = [
    [new s.LBFGS(f32(1), { grads: f32(1) }), 'maxIterations'],
    [new s.HessianFree(f32(1), { grads: f32(1), gaussNewton() {} } as Any), 'gaussNewton'],
    [new s.SFO(f32(1), { N: 1, f: fn }), 'N'],
    [new s.Ensemble([async () => f32(1)]), 'vote'],
    [new s.WeightAverage(f32(1), { decay: 0.9 }), 'decay'],
    [new s.GradAccumulator(f32(1)), 'order'],
    [new s.LossScale(), 'growthFactor'],
    [new s.ReduceOnPlateau(new s.Adam(f32(1))), 'factor'],
    [new s.CheckpointManager('nowhere'), 'keep'],
  ];
  for (const [object, option] of others) {
    const { name } = object.constructor;
    expect(refusals(object, option)).toEqual(
      twice(`TypeError: ${name}: ${option}: an option, not a member, expected new ${name}(…, { ${option} })`),
    );
  }
});
