import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect } from 'vitest';
import manifest from '../../package.json';
import { root } from './root.js';

/** What `npm pack` makes of this checkout, extracted beside links to its dependencies as an install would lay it out. */
export function packed() {
  const folder = mkdtempSync(join(tmpdir(), 'schuss-pack-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const app = join(folder, 'app');
  const installed = join(app, 'node_modules', 'schuss');
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const output = execFileSync('npm', pack, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' });
  const [result] = Object.values(JSON.parse(output)) as { filename: string; files: { path: string }[] }[];
  const tarball = join(folder, result!.filename);
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@tensorflow/tfjs-core', '@types/node']) {
    const link = join(app, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), link, 'junction');
  }

  /** Runs a program in the app, on the JavaScript backend because the tarball of a clone holds no binary. */
  function run(...args: string[]): string {
    const env = { ...process.env, SCHUSS_BACKEND: 'js', SCHUSS_ISA: '' };
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: app, env, encoding: 'utf8' });
    expect(status, stdout + stderr).toBe(0);
    expect(stderr, 'what the program writes to stderr').toBe('');
    return stdout;
  }
  return { app, installed, tarball, files: result!.files.map(({ path }) => path), run };
}
