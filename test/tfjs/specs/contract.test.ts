// TensorFlow.js's own specs of its optimizers, untouched, on ours.
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Adadelta, Adagrad, backend, RMSprop } from '../../../lib/index.js';
import * as ours from '../../../lib/tfjs/index.js';
import { runSpec, type Subject, specFiles, specsOf, startBackend } from './specs.js';

const classes = {
  SGDOptimizer: ours.SGDOptimizer,
  MomentumOptimizer: ours.MomentumOptimizer,
  AdagradOptimizer: ours.AdagradOptimizer,
  AdadeltaOptimizer: ours.AdadeltaOptimizer,
  AdamOptimizer: ours.AdamOptimizer,
  AdamaxOptimizer: ours.AdamaxOptimizer,
  RMSPropOptimizer: ours.RMSPropOptimizer,
};
const { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop } = ours;
const factories = { sgd, momentum, adagrad, adadelta, adam, adamax, rmsprop };
type Name = keyof typeof factories;

/** Classes that count what is made of them and the steps that those take. */
function counting(count: { made: number; steps: number }): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(classes).map(([name, Class]) => [
      name,
      class extends (Class as new (...args: unknown[]) => ours.TrainOptimizer) {
        constructor(...args: unknown[]) {
          super(...args);
          count.made++;
        }
        override applyGradients(...args: Parameters<ours.TrainOptimizer['applyGradients']>) {
          count.steps++;
          return super.applyGradients(...args);
        }
      },
    ]),
  );
}

/** Specs that need no step: how many there are. */
const withoutSteps = /serialization round-trip|must define learning rate|instanceof Optimizer|throws error/;

test('runs on the native backend', () => expect(backend().name).toBe('native'));

describe.each(['cpu', 'wasm'])('on %s', (name) => {
  beforeAll(() => startBackend(name));
  afterAll(() => tf.engine().reset());

  describe('with tf.train patched', () => {
    // Factories as patch puts them, and classes that count.
    const count = { made: 0, steps: 0 };
    const counted = counting(count);
    const of: Record<Name, string> = {
      sgd: 'SGDOptimizer',
      momentum: 'MomentumOptimizer',
      adagrad: 'AdagradOptimizer',
      adadelta: 'AdadeltaOptimizer',
      adam: 'AdamOptimizer',
      adamax: 'AdamaxOptimizer',
      rmsprop: 'RMSPropOptimizer',
    };
    beforeAll(() => ours.patch(tf));
    afterAll(() => ours.unpatch(tf));
    beforeEach(() => void Object.assign(count, { made: 0, steps: 0 }));
    // What tf.train makes is ours, and counted.
    const train = new Proxy(tf.train, {
      get(target, key: Name) {
        return (...args: never[]) => {
          const made = (target[key] as (...args: never[]) => object)(...args);
          expect(made).toBeInstanceOf(classes[of[key] as keyof typeof classes]);
          const Counted = counted[of[key]] as typeof classes.AdamOptimizer;
          return new (Counted as unknown as new (...args: never[]) => object)(...args);
        };
      },
    });
    const suites = specFiles.map((file) => [file, specsOf(file, { classes: counted, train })] as const);
    test('there are 32', () => expect(suites.flatMap(([, specs]) => specs).length).toBe(32));
    describe.each(suites)('%s', (_, specs) => {
      beforeAll(() => startBackend(name));
      test.each(specs)('$name', async (spec) => {
        await runSpec(spec);
        // The spec has run on our classes.
        if (!spec.name.includes('must define')) expect(count.made).toBeGreaterThan(0);
        if (!withoutSteps.test(spec.name)) expect(count.steps).toBeGreaterThan(0);
      });
    });
  });

  describe('as it is', () => {
    // No Proxy, no class of the test between: the factories and the classes alone.
    const subject: Subject = {
      classes,
      train: factories,
    };
    describe.each(specFiles)('%s', (file) => {
      beforeAll(() => startBackend(name));
      test.each(specsOf(file, subject))('$name', (spec) => runSpec(spec));
    });
  });

  // The specs are no proof if they pass for a wrong formula.
  describe('finds out', () => {
    const wrong: Record<string, (...args: never[]) => object> = {
      sgd: (lr: number) => ours.sgd(lr * 1.1),
      momentum: (lr: number, mu: number, nesterov: boolean) => ours.momentum(lr, mu, !nesterov),
      adagrad: (lr: number) => ours.adagrad(lr, 0.2),
      adadelta: (lr: number) => ours.adadelta(lr * 1.1),
      adam: (lr: number, beta1: number, beta2: number) => ours.adam(lr, beta2, beta1),
      adamax: (lr: number, beta1: number, beta2: number) => ours.adamax(lr, beta1, beta2, 0.1, 1),
      rmsprop: (lr: number, decay: number, momentum: number) => ours.rmsprop(lr, decay, momentum + 0.5),
      'rmsprop, ours': (lr: number, decay: number, momentum: number) =>
        ours.wrap(RMSprop, { lr, alpha: decay, momentum }),
      'adagrad, ours': (lr: number) => ours.wrap(Adagrad, { lr }),
      'adadelta, ours': (lr: number, rho: number) => ours.wrap(Adadelta, { lr, rho }),
    };
    test.each(Object.entries(wrong))('another formula for %s', async (title, make) => {
      const factory = title.split(',')[0] as Name;
      const train = { ...factories, [factory]: make };
      const results: boolean[] = [];
      for (const spec of specsOf(`${factory}_optimizer_test.js`, { classes, train })) {
        results.push(
          await runSpec(spec).then(
            () => true,
            () => false,
          ),
        );
      }
      expect(results).toContain(false);
    });
  });
});
