// The built package under flags of Node that take something away, and on machines that are short of something.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findAddon } from '../../lib/engine/prebuilds.js';
import { root } from '../support/root.js';

const scratch = mkdtempSync(join(tmpdir(), 'schuss-flags-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const program = join(__dirname, 'program.cjs');
const isLinux = process.platform === 'linux';

interface Options {
  readonly flags?: readonly string[];
  readonly installed?: string;
  readonly shell?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
}

function run({ flags = [], installed = root, shell, env = {}, uid }: Options = {}): string {
  const command = [process.execPath, ...flags, program, installed, scratch];
  const [file, ...args] = shell === undefined ? command : ['bash', '-c', `${shell}; exec "$@"`, 'bash', ...command];
  const { stdout, stderr, status } = spawnSync(file as string, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    ...(uid === undefined ? {} : { uid }),
  });
  expect(status, `${stdout}${stderr}`).toBe(0);
  return stdout;
}

const expected = run();

test('the program uses the addon', () => {
  expect(expected).toMatch(/^native [0-9a-f]{64} 3\n$/);
});

test.each([
  ['--jitless'],
  ['--no-expose-wasm'],
  ['--disable-proto=delete'],
  ['--disable-proto=throw'],
  ['--frozen-intrinsics'],
  ['--disable-wasm-trap-handler'],
  ['--no-opt'],
  ['--stack-size=500'],
  ['--max-old-space-size=64'],
  ['--zero-fill-buffers'],
  ['--disallow-code-generation-from-strings'],
])('node %s', (flag) => {
  expect(run({ flags: [flag] })).toBe(expected);
});

test.each([
  [['--no-addons']],
  [['--experimental-permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-worker']],
])('node %s: without the addon, the same bits', (flags) => {
  expect(run({ flags })).toBe(expected.replace('native', 'js'));
});

const save = `
  const { saveCheckpoint } = require(process.argv[1]);
  saveCheckpoint(process.argv[2], { params: new Float32Array(1e5) }).then(
    () => console.log('saved'),
    (error) => console.log(error.name, /EFBIG|ENOSPC/.exec(error.message)?.[0]),
  );`;

/** Saves to a file where there is no room for it: the file of before must stay, and nothing beside it. */
function saveWithoutRoom(folder: string, shell: string): string {
  const path = join(folder, 'old.safetensors');
  writeFileSync(path, 'old');
  const args = ['-c', `${shell}; exec "$@"`, 'bash', process.execPath, '-e', save, root, path];
  const { stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
  expect(readFileSync(path, 'utf8'), stderr).toBe('old');
  expect(readdirSync(folder), 'what is left').toEqual(['old.safetensors']);
  return stdout.trim();
}

describe('a machine', () => {
  test.runIf(isLinux)('that cuts off long files', () => {
    const folder = mkdtempSync(join(scratch, 'limit-'));
    expect(saveWithoutRoom(folder, 'ulimit -f 100')).toBe('CheckpointError EFBIG');
  });

  test.runIf(isLinux && process.getuid?.() === 0)('with a full disk', ({ skip }) => {
    const folder = mkdtempSync(join(scratch, 'disk-'));
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', folder]);
    if (mount.status !== 0) skip('this user may not mount a file system');
    try {
      expect(saveWithoutRoom(folder, 'true')).toBe('CheckpointError ENOSPC');
    } finally {
      spawnSync('umount', [folder]);
    }
  });

  test('whose folder for temporary files does not exist', () => {
    expect(run({ env: { TMPDIR: join(scratch, 'none') } })).toBe(expected);
  });

  test.runIf(isLinux)('with little address space', () => {
    expect(run({ shell: 'ulimit -v 1500000' })).toBe(expected);
  });

  test.runIf(isLinux)('with few threads', () => {
    expect(run({ shell: 'ulimit -u 40 || true', env: { SCHUSS_THREADS: '64' } })).toBe(expected);
  });

  // The owner of a file may write to it whatever its mode is, so another user runs the program.
  test.runIf(isLinux && process.getuid?.() === 0)('where the package may only be read', () => {
    const installed = join(scratch, 'installed');
    const { file } = findAddon();
    mkdirSync(join(installed, file, '..'), { recursive: true });
    for (const name of ['dist', 'package.json', file])
      cpSync(join(root, name), join(installed, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'));
    chmodSync(scratch, 0o777);
    const nobody = 65534;
    const canRead = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(installed)})`], { uid: nobody });
    if (canRead.status !== 0) return; // the checkout lies where this user may not look
    rmSync(join(scratch, 'run.safetensors'), { force: true });
    expect(run({ installed, uid: nobody })).toBe(expected);
  });
});
