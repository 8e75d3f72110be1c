// Runs the specs of TensorFlow.js's own optimizers, as @tensorflow/tfjs-core ships them, on other optimizers. They are
// written for Jasmine and import from their own tree: here they get what they import from us, and are not changed.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // registers the gradients of operations
import { buildSync, transformSync } from 'esbuild';
import { expect } from 'vitest';

/** What stands in for TensorFlow.js's optimizers: classes by their names there, and factories by theirs in `tf.train`. */
export interface Subject {
  readonly classes: Readonly<Record<string, unknown>>;
  readonly train: object;
}

export interface Spec {
  readonly name: string;
  readonly run: () => unknown;
}

const dist = dirname(require.resolve('@tensorflow/tfjs-core'));
const folder = join(dist, 'optimizers');
export const specFiles = readdirSync(folder).filter((file) => file.endsWith('_test.js'));

// Specs write x.square(), which @tensorflow/tfjs brings and its core alone does not: methods of the one Tensor class that
// all copies share, as they share the engine.
const [chainedOps] = buildSync({
  entryPoints: [join(dist, 'public', 'chained_ops', 'register_all_chained_ops.js')],
  bundle: true,
  format: 'cjs',
  platform: 'node',
  write: false,
  logLevel: 'error',
}).outputFiles;
new Function('require', 'module', (chainedOps as { text: string }).text)(require, { exports: {} });

/** The specs of a file. */
export function specsOf(file: string, { classes, train }: Subject): Spec[] {
  const specs: Spec[] = [];
  let suite = '';
  const modules: Readonly<Record<string, unknown>> = {
    '../index': { ...tf, ...classes, train },
    '../jasmine_util': {
      ALL_ENVS: {},
      describeWithFlags(name: string, _: object, define: () => void) {
        suite = name;
        define();
      },
    },
    '../test_util': tf.test_util,
    './optimizer': { Optimizer: tf.Optimizer },
    './sgd_optimizer': { SGDOptimizer: classes['SGDOptimizer'] },
  };
  const load = (path: string): unknown => {
    if (!(path in modules)) throw new Error(`${file} imports ${path}, which nothing stands in for`);
    return modules[path];
  };
  const { code } = transformSync(readFileSync(join(folder, file), 'utf8'), { format: 'cjs' });
  const it = (name: string, run: () => unknown): void => void specs.push({ name: `${suite} ${name}`, run });
  new Function('require', 'module', 'it', 'expect', code)(load, { exports: {} }, it, expect);
  return specs;
}

/** What TensorFlow.js's jasmine_util does around each spec. */
export async function runSpec({ run }: Spec): Promise<void> {
  tf.engine().startScope();
  try {
    await run();
  } finally {
    tf.engine().endScope();
    tf.engine().disposeVariables();
  }
}

/** Before the specs of a backend. */
export async function startBackend(name: string): Promise<void> {
  tf.engine().reset();
  tf.env().set('IS_TEST', true);
  await tf.setBackend(name);
}
