// wrap: every wrong argument is refused, in the library's error shape, and changes nothing.
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { Adam, SGD } from '../../../../lib/index.js';
import { wrap } from '../../../../lib/tfjs/index.js';
import { onBackend, variable } from '../../../support/tfjs.js';

describe.each(['cpu', 'wasm', 'elsewhere'])('on %s', (name) => {
  onBackend(name);

  const ones = (): tf.Tensor => tf.ones([2]);

  test('wrap refuses invalid options', () => {
    expect(() => wrap(Adam, { zeroGrads: true } as object)).toThrow(
      TypeError(
        'Adam: zeroGrads: true, expected false (in TensorFlow.js other tensors may share the memory of a gradient)',
      ),
    );
    expect(() => wrap(Adam, { lr: -1 })).toThrow(RangeError('Adam: lr: -1, expected [0, inf)'));
    expect(() => wrap(Adam, { learningRate: 1 } as object)).toThrow(/^Adam: learningRate: unknown option/);
    expect(() => wrap(Adam, null as never)).toThrow(TypeError);
    expect(() => wrap(SGD as never)).toThrow(/^SGD: lr: undefined/);
    expect(() => wrap(tf.AdamOptimizer as never)).toThrow(
      /^wrap: Class: .*, expected a first-order optimizer class of schuss/,
    );
    expect(() => wrap('adam' as never)).toThrow(
      TypeError('wrap: Class: "adam", expected a first-order optimizer class of schuss, such as Adam'),
    );
  });

  test.each([
    [
      'an unknown name',
      () => ({ nobody: ones() }),
      TypeError('SGD: gradients["nobody"]: no variable has this name, expected the name of a tf.Variable'),
    ],
    [
      'a wrong shape of the same size',
      () => ({ w: tf.ones([2, 1]) }),
      RangeError('SGD: gradients["w"]: shape [2,1], expected [2], that of the variable'),
    ],
    [
      'a scalar',
      () => ({ w: tf.scalar(1) }),
      RangeError('SGD: gradients["w"]: shape [], expected [2], that of the variable'),
    ],
    [
      'int32',
      () => ({ w: tf.ones([2], 'int32') }),
      TypeError('SGD: gradients["w"]: a tensor of int32, expected one of float32'),
    ],
    ['an array', () => ({ w: [1, 2] }), TypeError('SGD: gradients["w"]: [1, 2], expected a tf.Tensor or null')],
    [
      'a disposed tensor',
      () => ({ w: disposed() }),
      TypeError('SGD: gradients["w"]: a disposed tensor, expected a live one'),
    ],
    [
      'two for one',
      () => [
        { name: 'w', tensor: ones() },
        { name: 'w', tensor: ones() },
      ],
      TypeError('SGD: gradients["w"]: a second gradient, expected one gradient per variable'),
    ],
    [
      'an int32 variable',
      () => ({ w: ones(), i: ones() }),
      TypeError('SGD: gradients["i"]: a variable of int32, expected one of float32'),
    ],
  ])('of gradients change nothing: %s', (_, gradients, error) => {
    const w = variable([1, 2], [2], 'w');
    tf.variable(tf.ones([2], 'int32'), true, 'i');
    const sgd = wrap(SGD, { lr: 1, momentum: 0.5 });
    expect(() => sgd.applyGradients(gradients() as never)).toThrow(error);
    sgd.applyGradients({ w: ones() });
    expect(() => sgd.applyGradients(gradients() as never)).toThrow(error);
    expect(w.arraySync()).toEqual([0, 1]);
    expect(sgd.iterations).toBe(1);
  });
  function disposed(): tf.Tensor {
    const x = ones();
    x.dispose();
    return x;
  }

  test('a variable that comes back in another shape is refused', () => {
    variable([1, 2], [2], 'w');
    const sgd = wrap(SGD, { lr: 1 });
    sgd.applyGradients({ w: ones() });
    tf.disposeVariables();
    variable([1, 2, 3], [3], 'w');
    expect(() => sgd.applyGradients({ w: tf.ones([3]) })).toThrow(
      RangeError(
        'SGD: gradients["w"]: a variable of shape [3], expected [2], that of the state under its name (make a new optimizer for each model)',
      ),
    );
  });

  test('a schedule out of range changes nothing', () => {
    const w = variable([1, 2], [2], 'w');
    const sgd = wrap(SGD, { lr: (step) => (step === 2 ? -1 : 1) });
    sgd.applyGradients({ w: ones() });
    expect(() => sgd.applyGradients({ w: ones() })).toThrow(RangeError);
    expect(w.arraySync()).toEqual([0, 1]);
  });

  test('state that does not fit is refused and changes nothing', async () => {
    const w = variable([1, 2], [2], 'w');
    const adam = wrap(Adam, { lr: 1 });
    adam.applyGradients({ w: ones() });
    const dict = adam.stateDict();
    expect(() => wrap(SGD, { lr: 1 }).loadStateDict(dict)).toThrow(
      TypeError('SGD.loadStateDict: optimizer: "Adam", expected "SGD"'),
    );
    expect(() => wrap(Adam).loadStateDict(null as never)).toThrow(/^Adam\.loadStateDict: /);
    await expect(adam.setWeights([{ name: 'iter', tensor: tf.scalar(-1) }])).rejects.toThrow(/^Adam: iter: -1/);
    await expect(adam.setWeights([{ name: 'nonsense', tensor: ones() }])).rejects.toThrow(
      /^Adam: setWeights: "nonsense"/,
    );
    await expect(adam.setWeights([{ name: 'w/expAvg', tensor: tf.ones([3]) }])).rejects.toThrow(
      /^Adam\.loadStateDict: state\["w"\]/,
    );
    expect(adam.stateDict()).toEqual(dict);

    // If the variables are not known yet, the step throws.
    const other = wrap(Adam, { lr: 1 });
    other.loadStateDict({
      ...dict,
      state: { w: { step: 1, expAvg: new Float32Array(3), expAvgSq: new Float32Array(3) } },
    });
    const before = w.arraySync();
    expect(() => other.applyGradients({ w: ones() })).toThrow(
      /^Adam\.loadStateDict: state\["w"\]\.expAvg: length 3, expected 2/,
    );
    other.loadStateDict({ ...dict, state: { p: dict.state['w'] as never, q: dict.state['w'] as never } });
    expect(() => other.applyGradients({ w: ones() })).toThrow(
      RangeError(
        'Adam: state: for "p", "q", expected it for "w" (loaded state is matched by name, or by position if the first step has all variables; a new optimizer starts without it)',
      ),
    );
    expect(w.arraySync()).toEqual(before);
  });

  test('members that need variables throw before the first step, and all members throw after dispose', () => {
    const w = variable([1, 2], [2], 'w');
    const sgd = wrap(SGD, { lr: 1 });
    expect(() => sgd.optimizer).toThrow(/^SGD: optimizer: there is none before the first step/);
    expect(() => sgd.stateDict()).toThrow(/^SGD: optimizer: there is none before the first step/);
    expect(sgd.applyGradients({ w: null as never })).toEqual({ applied: false });
    sgd.applyGradients({ w: ones() });
    const inner = sgd.optimizer;
    sgd.dispose();
    sgd.dispose();
    for (const use of [
      () => sgd.optimizer,
      () => sgd.learningRate,
      () => sgd.stateDict(),
      () => sgd.applyGradients({ w: ones() }),
      () => inner.stepCount,
    ]) {
      expect(use).toThrow(TypeError('SGD: this: a disposed optimizer, expected one that is not disposed'));
    }
    expect(w.arraySync()).toEqual([0, 1]);
  });
});
