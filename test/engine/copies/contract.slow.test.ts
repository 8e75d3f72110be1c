// Two copies of the package in one process: what one copy cannot take of the other, it refuses with the places of both.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findAddon } from '../../../lib/engine/prebuilds.js';
import type { Any } from '../../support/rig.js';
import { root } from '../../support/root.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'schuss-copies-')));
const places = [join(folder, 'one'), join(folder, 'two')] as const;
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  const sources = readdirSync(join(root, 'lib'), { encoding: 'utf8', recursive: true });
  for (const place of places) {
    buildSync({
      entryPoints: sources.filter((name) => name.endsWith('.ts')).map((name) => join(root, 'lib', name)),
      outbase: join(root, 'lib'),
      outdir: join(place, 'dist'),
      format: 'cjs',
      platform: 'node',
      target: 'es2022',
    });
    cpSync(join(root, 'package.json'), join(place, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
    const { file } = findAddon();
    mkdirSync(dirname(join(place, file)), { recursive: true });
    cpSync(join(root, file), join(place, file));
  }
});

/** Runs code with two copies, `a` and `b`, and returns what it logs. */
function run(second: string, code: string): string[] {
  const program = `
    const path = require('node:path');
    const a = require(${JSON.stringify(join(places[0], 'dist'))});
    for (const file of Object.keys(require.cache)) if (file.endsWith('.js')) delete require.cache[file];
    const b = require(${JSON.stringify(join(second, 'dist'))});
    const log = [], refused = (call) => { try { call(); log.push('taken'); } catch (e) { log.push(e.message); } };
    const w = () => b.allocate(2);
    (async () => { ${code}; console.log(JSON.stringify(log)); })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Any;
}

const optimizers = `
  const adam = new a.Adam(w());
  refused(() => new b.Lookahead(adam));
  refused(() => new b.LossScale().step(adam, w()));
  refused(() => new b.ReduceOnPlateau(adam).update(1));
  refused(() => new b.GradAccumulator(adam.paramGroups).add(w()));`;

test('two folders: optimizers', () => {
  const hint = `(two copies of schuss are loaded: it is from ${places[0]}, and this one is ${places[1]})`;
  expect(run(places[1], optimizers)).toEqual([
    `Lookahead: optimizer: an Adam, expected an optimizer ${hint}`,
    `LossScale: optimizer: an Adam, expected an optimizer ${hint}`,
    'taken',
    'taken',
  ]);
});

test('one folder, loaded twice, as by jest.resetModules: optimizers', () => {
  const hint = `(it is from an earlier load of schuss: ${places[0]} was loaded twice)`;
  expect(run(places[0], optimizers).slice(0, 2)).toEqual([
    `Lookahead: optimizer: an Adam, expected an optimizer ${hint}`,
    `LossScale: optimizer: an Adam, expected an optimizer ${hint}`,
  ]);
});

const memory = `
  const [x, g] = [a.allocate(2), a.allocate(2)];
  new b.Adam(x).step(g);
  log.push('taken');
  for (const grads of [g, w()]) await new b.Adam(grads === g ? w() : x).stepAsync(grads).then(() => log.push('taken'), (e) => log.push(e.message));`;

test('memory of the other copy: a step takes it; stepAsync takes it where both have the same addon', () => {
  const hint = `(two copies of schuss are loaded: it is from ${places[0]}, and this one is ${places[1]})`;
  expect(run(places[0], memory)).toEqual(['taken', 'taken', 'taken']);
  expect(run(places[1], memory)).toEqual([
    'taken',
    expect.stringMatching(/^Adam: grads: Float32Array\(2\), expected memory that stays in place .*/),
    expect.stringMatching(/^Adam: params: Float32Array\(2\), expected memory that stays in place .*/),
  ]);
  for (const message of run(places[1], memory).slice(1)) expect(message.endsWith(hint), message).toBe(true);
});

test('what belongs to no copy is refused as before', () => {
  expect(run(places[1], 'refused(() => new b.Lookahead({})); refused(() => new b.Lookahead(b.Adam))')).toEqual([
    'Lookahead: optimizer: an object, expected an optimizer',
    'Lookahead: optimizer: function Adam, expected an optimizer',
  ]);
});
