// Python's safetensors opens our files, and we open its files. TORCH_PYTHON names a Python with torch and safetensors.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  Adam,
  inspectCheckpoint,
  loadCheckpoint,
  readSafetensors,
  saveCheckpoint,
  writeSafetensors,
} from '../../../lib/index.js';
import { bits, floats, numbers, random, scratch } from '../../support/checkpoint.js';

const folder = scratch();
const python = process.env['TORCH_PYTHON'];

/** Runs a program whose last line of output is JSON. */
function run(program: string, ...args: string[]): unknown {
  const script = join(folder, 'program.py');
  writeFileSync(
    script,
    `import json, sys, torch\nfrom safetensors import safe_open\nfrom safetensors.torch import load_file, save_file\n${program}`,
  );
  const { stdout, stderr, error } = spawnSync(python as string, [script, ...args], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (error !== undefined) throw error;
  expect(stderr).not.toMatch(/Traceback/);
  return JSON.parse(stdout.trim().split('\n').at(-1) as string);
}

// Importing torch takes seconds, and more on a busy machine.
describe('with Python', { timeout: 180_000 }, () => {
  beforeEach((context) => {
    if (python === undefined) context.skip('SKIPPED: TORCH_PYTHON is not set');
  });

  test('it opens a checkpoint: params, state and metadata', async () => {
    const path = join(folder, 'ours.safetensors');
    const params = {
      'fc.weight': { data: numbers(6, 1), shape: [2, 3] as const },
      'ü "x"': numbers(5, 2),
      none: new Float32Array(0),
    };
    const optimizer = new Adam(params, { ema: 0.5 });
    optimizer.step({ 'fc.weight': numbers(6, 3), 'ü "x"': numbers(5, 4), none: new Float32Array(0) });
    const own = {
      stateDict: () => ({
        order: Int32Array.of(3, -1),
        seen: BigInt64Array.of(1n),
        f: Float64Array.of(0.1),
        u: Uint8Array.of(255),
      }),
      loadStateDict() {},
    };
    await saveCheckpoint(path, { params, optimizer, objects: { own }, metadata: { format: 'pt', note: 'ö' } });
    const found = run(
      `
tensors = load_file(sys.argv[1])
with safe_open(sys.argv[1], 'pt') as f: metadata = f.metadata()
print(json.dumps({'tensors': {k: [str(v.dtype), list(v.shape), v.contiguous().view(torch.uint8).numpy().tobytes().hex()] if v.numel() else [str(v.dtype), list(v.shape), ''] for k, v in tensors.items()},
                  'format': metadata['format'], 'note': metadata['note'], 'keys': sorted(metadata)}))`,
      path,
    ) as { tensors: Record<string, [string, number[], string]>; format: string; note: string; keys: string[] };
    expect([found.format, found.note]).toEqual(['pt', 'ö']);
    expect(found.keys).toEqual(['format', 'note', 'schuss.checkpoint', 'schuss.sha256']);
    const { tensors } = await inspectCheckpoint(path);
    expect(Object.keys(found.tensors).sort()).toEqual(Object.keys(tensors).sort());
    const dtypes: Record<string, string> = {
      F32: 'torch.float32',
      F64: 'torch.float64',
      I32: 'torch.int32',
      I64: 'torch.int64',
      U8: 'torch.uint8',
    };
    for (const [name, { dtype, shape }] of Object.entries(tensors))
      expect(found.tensors[name]!.slice(0, 2), name).toEqual([dtypes[dtype], shape]);
    const hex = (array: Float32Array): string =>
      Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');
    expect(found.tensors['fc.weight']![2]).toBe(hex(params['fc.weight'].data));
    const { state } = optimizer.stateDict();
    expect(found.tensors['optimizer.ü "x".expAvgSq']![2]).toBe(hex(state['ü "x"']!['expAvgSq'] as Float32Array));
    expect(found.tensors['objects.own.order']![2]).toBe('03000000ffffffff');
  });

  test('it opens what writeSafetensors wrote, all dtypes', async () => {
    const path = join(folder, 'written.safetensors');
    const data = floats(1000, random(1), true);
    await writeSafetensors(path, {
      a: { data, shape: [10, 4, 25] },
      s: { data: Float32Array.of(3), shape: [] },
      e: { data: new Float32Array(0), shape: [3, 0] },
      h: Int16Array.of(-2),
      b: Int8Array.of(-3),
    });
    const found = run(
      `
t = load_file(sys.argv[1])
print(json.dumps([t['a'].numpy().tobytes().hex(), list(t['a'].shape), t['s'].item(), list(t['s'].shape), list(t['e'].shape), t['h'].tolist(), t['b'].tolist()]))`,
      path,
    );
    expect(found).toEqual([Buffer.from(data.buffer).toString('hex'), [10, 4, 25], 3, [], [3, 0], [-2], [-3]]);
  });

  test('we open its files: every float16 and bfloat16, and F32, F64', async () => {
    const path = join(folder, 'theirs.safetensors');
    const expected = run(
      `
bits = torch.arange(-32768, 32768, dtype=torch.int32).to(torch.int16)
g = torch.Generator().manual_seed(1)
double = torch.randn(50, dtype=torch.float64, generator=g) * 1e5
t = {'half': bits.view(torch.float16).reshape(256, 256), 'brain': bits.clone().view(torch.bfloat16), 'double': double,
     'single': torch.randn(3, 5, 2, generator=g), 'scalar': torch.tensor(0.1), 'ints': torch.arange(3), 'flag': torch.tensor([True])}
save_file(t, sys.argv[1], metadata={'format': 'pt', 'ä': 'ö'})
clean = lambda x: x.to(torch.float32).contiguous().nan_to_num(nan=12345.0, posinf=float('inf'), neginf=float('-inf')).numpy().tobytes().hex()
print(json.dumps({k: [clean(v), list(v.shape)] for k, v in t.items() if v.is_floating_point()}))`,
      path,
    ) as Record<string, [string, number[]]>;
    const { tensors, metadata } = await readSafetensors(path, { names: Object.keys(expected) });
    expect(metadata).toEqual({ format: 'pt', ä: 'ö' });
    for (const [name, [hex, shape]] of Object.entries(expected)) {
      const { data, shape: found } = tensors[name]!;
      const clean = data.map((x) => (Number.isNaN(x) ? 12345 : x));
      expect(Buffer.from(clean.buffer).toString('hex') === hex, name).toBe(true);
      expect(found).toEqual(shape);
    }
    await expect(readSafetensors(path)).rejects.toThrow(/tensor "(ints|flag)": dtype (I64|BOOL), expected F32/);
  });

  test('a checkpoint that it wrote again is refused, and its tensors can be read', async () => {
    const [path, again] = [join(folder, 'first.safetensors'), join(folder, 'again.safetensors')];
    const params = { w: numbers(4, 1) };
    await saveCheckpoint(path, { params });
    run(
      `
with safe_open(sys.argv[1], 'pt') as f: metadata = f.metadata()
save_file({'w': load_file(sys.argv[1])['w'] + 1}, sys.argv[2], metadata=metadata)
print('1')`,
      path,
      again,
    );
    const before = bits(params.w);
    await expect(loadCheckpoint(again, { params })).rejects.toThrow(/again.safetensors/);
    expect(bits(params.w)).toBe(before);
    const { tensors } = await readSafetensors(again, { names: ['w'] });
    expect(bits(tensors['w']!.data)).toBe(bits(params.w.map((x) => x + 1)));
  });
});
