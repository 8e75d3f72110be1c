// What happens to the files: failures keep the old one and name the cause, saves run in order, aborts and crashes leave
// nothing behind.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  inspectCheckpoint,
  loadCheckpoint,
  readSafetensors,
  saveCheckpoint,
  writeSafetensors,
} from '../../../lib/index.js';
import { type Any, refused, scratch, tempsIn } from '../../support/checkpoint.js';

const root = join(__dirname, '..', '..', '..');
const folder = scratch();
const isRoot = process.getuid?.() === 0;
const write = (path: string, value: number, length = 1, options: Any = {}): Promise<void> =>
  writeSafetensors(path, { x: new Float32Array(length).fill(value) }, options);
const read = async (path: string): Promise<number | undefined> => (await readSafetensors(path)).tensors['x']!.data[0];

/** Runs a program against dist/ in another process. Its last line of output is JSON. */
function child(program: string, { shell = '', user }: { shell?: string; user?: number } = {}): Any {
  const script = join(folder, 'child.cjs');
  writeFileSync(script, `const schuss = require(${JSON.stringify(root)});\n(async () => {${program}})();\n`);
  const node = [process.execPath, script].map((part) => `'${part}'`).join(' ');
  const { stdout, stderr } = spawnSync('bash', ['-c', `${shell}exec ${node}`], {
    encoding: 'utf8',
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) as string);
  } catch {
    throw new Error(`${stdout}\n${stderr}`);
  }
}

const saving = (path: string, bytes: number): string => `
  const [path, length] = [${JSON.stringify(path)}, ${bytes / 4}];
  const save = schuss.writeSafetensors(path, { x: new Float32Array(length).fill(2) });
  console.log(JSON.stringify(await save.then(() => ({}), ({ name, code, message }) => ({ name, code, message }))));`;

describe('the system refuses', () => {
  const small = join(folder, 'small');
  let isMounted = false;
  beforeAll(() => {
    mkdirSync(small);
    isMounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small]).status === 0;
  });
  afterAll(() => {
    if (isMounted) spawnSync('umount', [small]);
  });

  test('ENOSPC, in this thread and in a worker', async (context) => {
    if (!isMounted) context.skip('SKIPPED: no tmpfs could be mounted');
    const path = join(small, 'x.safetensors');
    await write(path, 1);
    await refused(
      write(path, 2, 1.5e6),
      'ENOSPC',
      /no space left on the device \(ENOSPC\), expected room for 60000\d\d bytes \(an older file of that name is unchanged\)/,
    );
    expect(child(saving(path, 16 << 20))).toMatchObject({ name: 'CheckpointError', code: 'ENOSPC' });
    expect(await read(path)).toBe(1);
    expect(readdirSync(small)).toEqual(['x.safetensors']);
    await write(path, 3);
    expect(await read(path)).toBe(3);
  });

  test.each([1 << 20, 16 << 20])('EFBIG: %i bytes', async (bytes) => {
    const path = join(folder, 'limited.safetensors');
    await write(path, 1);
    const found = child(saving(path, bytes), { shell: 'ulimit -f 256; ' });
    expect(found).toMatchObject({ name: 'CheckpointError', code: 'EFBIG' });
    expect(found.message).toMatch(
      /a file larger than the file system or the process allows \(EFBIG\), expected room for \d+ bytes/,
    );
    expect(await read(path)).toBe(1);
    expect(tempsIn(folder)).toEqual([]);
  });

  test('EACCES', async (context) => {
    if (!isRoot) context.skip('SKIPPED: only root can become another user');
    const own = mkdtempSync(join(tmpdir(), 'schuss-access-'));
    try {
      chmodSync(own, 0o755);
      const path = join(own, 'x.safetensors');
      await write(path, 1);
      const program = `process.chdir('/');${saving(path, 4)}`;
      const script = join(own, 'child.cjs');
      writeFileSync(script, program); // the child reads it from a folder that it may enter
      chmodSync(folder, 0o755);
      const found = child(program, { user: 65534 });
      expect(found).toMatchObject({ name: 'CheckpointError', code: 'EACCES' });
      expect(found.message).toContain(
        'permission denied (EACCES), expected a directory that this process may write to',
      );
      expect(await read(path)).toBe(1);
    } finally {
      rmSync(own, { recursive: true });
    }
  });

  test('EISDIR, ENOENT, ENOTDIR and devices', async () => {
    const path = join(folder, 'a-directory');
    mkdirSync(path);
    await refused(write(path, 1), 'EISDIR', 'a directory (EISDIR), expected a file');
    await refused(write(join(folder, 'none', 'x'), 1), 'ENOENT', 'expected a file in an existing directory');
    await write(join(folder, 'file'), 1);
    await refused(write(join(folder, 'file', 'x'), 1), 'ENOTDIR', 'a path through a file');
    await refused(write('/dev/null', 1), 'EINVAL', 'a pipe or a device');
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    await refused(write(join(folder, 'x'.repeat(300)), 1), 'ENAMETOOLONG', 'expected a file that can be written');
    expect(tempsIn(folder)).toEqual([]);
  });
});

describe('what is replaced', () => {
  test('the end of a symbolic link, with its permissions', async () => {
    const [target, link] = [join(folder, 'target'), join(folder, 'link')];
    await write(target, 1);
    chmodSync(target, 0o640);
    if (isRoot) chownSync(target, 1234, 1235);
    symlinkSync('target', link);
    await write(link, 2);
    expect(await read(target)).toBe(2);
    expect(statSync(target).mode & 0o777).toBe(0o640);
    if (isRoot) expect([statSync(target).uid, statSync(target).gid]).toEqual([1234, 1235]);
    symlinkSync('missing', join(folder, 'dangling'));
    await write(join(folder, 'dangling'), 3);
    expect(await read(join(folder, 'dangling'))).toBe(3);
  });

  test('a name of the longest length', async () => {
    const path = join(folder, 'x'.repeat(255));
    await write(path, 4);
    expect(await read(path)).toBe(4);
  });

  test('saves to one path run in order, and the last one wins', async () => {
    const path = join(folder, 'queue');
    const ended: number[] = [];
    const lengths = [3e6, 10, 1e6, 1, 5e5];
    await Promise.all(lengths.map((length, i) => write(path, i, length).then(() => ended.push(i))));
    expect(ended).toEqual([0, 1, 2, 3, 4]);
    expect(await read(path)).toBe(4);
    // A failure does not stop those behind it.
    const aborted = new AbortController();
    const saves = [write(path, 5, 1e6), write(path, 6, 1e6, { signal: aborted.signal })];
    aborted.abort();
    const outcomes = await Promise.allSettled([...saves, write(path, 7, 10)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await read(path)).toBe(7);
  });

  test('readers meanwhile see the old file or the new one', async () => {
    const path = join(folder, 'busy');
    await write(path, 0, 1e5);
    let isDone = false;
    const writes = (async () => {
      for (let i = 1; i <= 20; i++) await write(path, i, 1e5);
      isDone = true;
    })();
    let last = 0;
    while (!isDone) {
      const { data } = (await readSafetensors(path)).tensors['x']!;
      expect(new Set(data).size).toBe(1);
      expect(data[0]).toBeGreaterThanOrEqual(last);
      last = data[0]!;
    }
    await writes;
  });
});

describe('abort', () => {
  test.each([1, 2e6, 6e6])('at any moment: the reason, and the old file; %i elements', async (length) => {
    const path = join(folder, 'abort');
    await write(path, 1);
    let aborts = 0;
    for (let i = 0; i < 12; i++) {
      const controller = new AbortController();
      const reason = { i };
      const save = write(path, 2, length, { signal: controller.signal }).then(
        () => 'saved' as const,
        (error: unknown) => error,
      );
      if (i > 0) await sleep(i);
      controller.abort(reason);
      const outcome = await save;
      expect(tempsIn(folder)).toEqual([]);
      if (outcome === 'saved') {
        expect(await read(path)).toBe(2);
        await write(path, 1);
      } else {
        expect(outcome).toBe(reason);
        expect(await read(path)).toBe(1);
        aborts++;
      }
    }
    expect(aborts).toBeGreaterThan(0);
  });

  test('before the call, and after the save', async () => {
    const path = join(folder, 'abort-early');
    await expect(write(path, 1, 1, { signal: AbortSignal.abort('early') })).rejects.toBe('early');
    expect(existsSync(path)).toBe(false);
    const controller = new AbortController();
    await write(path, 1, 1, { signal: controller.signal });
    controller.abort();
    expect(await read(path)).toBe(1);
    await saveCheckpoint(path, { params: new Float32Array(1), signal: new AbortController().signal });
    expect((await inspectCheckpoint(path)).tensors).toHaveProperty('0');
    await expect(saveCheckpoint(path, { params: new Float32Array(1), signal: AbortSignal.abort() })).rejects.toThrow(
      'aborted',
    );
  });
});

describe('temporary files', () => {
  test('those of ended processes are swept; those of others stay', async () => {
    const own = join(folder, 'sweep');
    mkdirSync(own);
    const path = join(own, 'x');
    // Two processes that are asked for the name of a temporary file: one has ended, one runs.
    const module_ = JSON.stringify(join(root, 'dist', 'checkpoint', 'temp-files.js'));
    const program = `console.log(require(${module_}).tempPath(${JSON.stringify(own)}))`;
    const ended = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trim();
    const running = spawn(process.execPath, ['-e', `${program}; setInterval(() => {}, 1000)`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [chunk] = (await once(running.stdout, 'data')) as [Buffer];
    const alive = chunk.toString().trim();
    const other = ended.replace(/schuss-[0-9a-f]{8}/, 'schuss-00000000'); // another machine's
    const oldOther = other.replace('.tmp', '').replace(/.{4}$/, '0000.tmp');
    const foreign = join(own, '.schuss-x.tmp');
    for (const file of [ended, alive, other, oldOther, foreign]) writeFileSync(file, 'x');
    const yesterday = Date.now() / 1000 - 25 * 3600;
    utimesSync(oldOther, yesterday, yesterday);
    await write(path, 1);
    expect([ended, alive, other, oldOther, foreign].map((file) => existsSync(file))).toEqual([
      false,
      true,
      true,
      false,
      true,
    ]);
    running.kill('SIGKILL');
    await once(running, 'exit');
    await write(path, 2);
    expect(existsSync(alive)).toBe(false);
    expect(await read(path)).toBe(2);
  });
});

describe('dist/, where a worker writes large files', () => {
  test('the worker writes the same bytes, and the process ends by itself', async () => {
    const [a, b] = [join(folder, 'by-worker'), join(folder, 'by-thread')];
    const params = new Float32Array(3e6).map((_, i) => i);
    const program = `
      const params = new Float32Array(3e6).map((_, i) => i);
      const own = { stateDict: () => ({ a: new Uint8Array(9e6).fill(7), b: [1] }), loadStateDict() {} };
      const started = performance.now();
      const save = schuss.saveCheckpoint(${JSON.stringify(a)}, { params, optimizer: new schuss.Adam(params), objects: { own } });
      params.fill(0);
      await save;
      const handles = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap' && name !== 'TTYWrap');
      console.log(JSON.stringify({ handles }));`;
    const { handles } = child(program);
    expect(handles).not.toContain('MessagePort');
    const { Adam } = await import('../../../lib/index.js');
    const own = { stateDict: () => ({ a: new Uint8Array(9e6).fill(7), b: [1] }), loadStateDict() {} };
    await saveCheckpoint(b, { params, optimizer: new Adam(params), objects: { own } });
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
    expect(await loadCheckpoint(a, { params, optimizer: new Adam(params), objects: { own } })).toEqual({});
  });

  test('in a bundle, which has no worker', async () => {
    const path = join(folder, 'bundled');
    const [entry, bundle] = [join(folder, 'entry.cjs'), join(folder, 'bundle.cjs')];
    writeFileSync(
      entry,
      `const schuss = require(${JSON.stringify(root)});\n(async () => {${saving(path, 16 << 20)}})();`,
    );
    await build({ entryPoints: [entry], bundle: true, platform: 'node', outfile: bundle, logLevel: 'silent' });
    const { stdout, stderr } = spawnSync(process.execPath, [bundle], {
      encoding: 'utf8',
      env: { ...process.env, SCHUSS_BACKEND: 'js' },
    });
    expect(stdout.trim(), stderr).toBe('{}');
    expect(statSync(path).size).toBeGreaterThan(16 << 20);
  });

  test('under the permission model, which forbids threads', () => {
    const path = join(folder, 'permitted');
    const script = join(folder, 'permitted.cjs');
    writeFileSync(
      script,
      `const schuss = require(${JSON.stringify(root)});(async () => {${saving(path, 16 << 20)}})();`,
    );
    const flags = ['--experimental-permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'];
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, script], {
      encoding: 'utf8',
      env: { ...process.env, SCHUSS_BACKEND: 'js' },
    });
    expect(stdout.trim(), stderr).toBe('{}');
    expect(statSync(path).size).toBeGreaterThan(16 << 20);
  });
});
