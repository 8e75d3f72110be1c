// The types in the tarball, as TypeScript resolves them in ES modules and in CommonJS.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { describe, expect, test } from 'vitest';
import { root } from '../support/root.js';
import { packed } from '../support/tarball.js';

const { app, tarball, run } = packed();

describe('types', () => {
  function check(code: string, ...options: string[]): string {
    writeFileSync(join(app, 'esm.mts'), code);
    writeFileSync(join(app, 'cjs.cts'), code);
    const strict = '--noEmit --strict --target es2022 --module nodenext --lib es2023,esnext.disposable --types node';
    return ['typescript', 'typescript-7']
      .map((name) => join(root, 'node_modules', name, 'bin', 'tsc'))
      .map((tsc) => run(tsc, ...strict.split(' '), ...options, 'esm.mts', 'cjs.cts'))
      .join('');
  }

  test('resolve in ES modules and in CommonJS, also where libraries are checked', () => {
    const code = `
      import { Adam, allocate, backend, cosine, type Schedule } from 'schuss';
      const lr: Schedule = cosine(1e-3, { steps: 10 });
      const w: Float32Array = allocate(3);
      const { applied, gradNorm } = new Adam({ w }, { lr, betas: [0.9, 0.99] }).step({ w: new Float32Array(3) });
      export const result: [boolean, number | undefined, 'native' | 'js'] = [applied, gradNorm, backend().name];
      // @ts-expect-error: there is no such option
      new Adam(w, { learningRate: 1 });`;
    expect(check(code)).toBe('');
  });

  const oldest = join(root, 'test', 'runtimes', 'node_modules', 'typescript-oldest', 'bin', 'tsc');
  // `npm ci --prefix test/runtimes` installs it. The examples of this file compile with the newest version.
  test.runIf(existsSync(oldest))('compile with TypeScript 5.0, libraries checked', () => {
    writeFileSync(
      join(app, 'oldest.mts'),
      `
      import { Adam, LBFGS, Lookahead, cosine, minimize, type Schedule } from 'schuss';
      const lr: Schedule = cosine(1e-3, { steps: 10 });
      const w = new Float32Array(3);
      export const lookahead = new Lookahead(new Adam({ w }, { lr, betas: [0.9, 0.99] }));
      export const applied: boolean = lookahead.step({ w }).applied;
      export const lbfgs = new LBFGS(w, { grads: w });
      export const x: Float32Array = minimize((x, grad) => (grad[0] = x[0]!), w).x;`,
    );
    const strict = '--noEmit --strict --target es2022 --lib es2022 --types node';
    expect(run(oldest, ...strict.split(' '), '--module', 'nodenext', 'oldest.mts')).toBe('');
    writeFileSync(join(app, 'oldest.ts'), "import { wrap } from 'schuss/tfjs';\nexport const wrapped = wrap;");
    const old = '--module commonjs --moduleResolution node --skipLibCheck'; // without "exports"
    expect(run(oldest, ...strict.split(' '), ...old.split(' '), 'oldest.ts')).toBe('');
  });

  // With skipLibCheck, because TensorFlow.js's types need those of the DOM.
  test('the types of schuss/tfjs work beside those of TensorFlow.js', () => {
    const code = `
      import type { Optimizer } from '@tensorflow/tfjs-core';
      import { Adam } from 'schuss';
      import { adam, momentum, wrap } from 'schuss/tfjs';
      export const optimizer: Optimizer = wrap(Adam, { lr: 0.1, amsgrad: true });
      // @ts-expect-error: there is no such option
      wrap(Adam, { learningRate: 1 });
      export const lr: number = adam(0.1).optimizer.lr;
      // @ts-expect-error: nothing has become any
      export const wrong: string = adam(0.1).optimizer.stepCount;
      // @ts-expect-error: nor here
      momentum(0.1, 0.9).optimizer.nonsense;`;
    expect(check(code, '--skipLibCheck')).toBe('');
  });

  test('arethetypeswrong finds nothing', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    expect(result.types ? result.problems : ['no types']).toEqual([]);
  });
});
