// stepAsync: which memory it takes, and what happens when memory goes away while a step waits.
import { runInNewContext } from 'node:vm';
import { MessageChannel, markAsUntransferable, receiveMessageOnPort } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { withEngine } from '../../../lib/engine/backend.js';
import { allocate } from '../../../lib/index.js';
import { type Any, type Case, classes, numbers, type Options, snapshot } from '../../support/rig.js';
import { engines, pin, pinned, rejected, rowsOf } from '../../support/step-async.js';

// @types/node does not declare WebAssembly.
const { WebAssembly } = globalThis as Any;

describe.each(engines.map((e) => [e.name, e] as const))('%s', (_, over) => {
  const c = classes.find(({ title }) => title === 'Adam') as Case;
  const make = (params: unknown, more?: Options) => withEngine(over, () => c.make(params, more));
  const allocated = (array: Float32Array) => {
    const own = withEngine(over, () => allocate(array.length));
    own.set(array);
    return own;
  };
  const heap = (array: Float32Array, shared: boolean) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 8, shared });
    const view = new Float32Array(memory.buffer, 16, array.length);
    view.set(array);
    return view;
  };

  test.each<[string, (array: Float32Array) => Float32Array]>([
    ['SharedArrayBuffer', pin],
    ['allocate', allocated],
    [
      'a part of allocate',
      (array) => {
        const own = allocated(new Float32Array(array.length + 9)).subarray(5, 5 + array.length);
        own.set(array);
        return own;
      },
    ],
    ['WebAssembly.Memory', (array) => heap(array, false)],
    ['shared WebAssembly.Memory', (array) => heap(array, true)],
    [
      'WebAssembly.Memory that grew',
      (array) => {
        const memory = new WebAssembly.Memory({ initial: 1, maximum: 8 });
        memory.buffer.byteLength;
        memory.grow(1);
        const view = new Float32Array(memory.buffer, 4, array.length);
        view.set(array);
        return view;
      },
    ],
    [
      'a SharedArrayBuffer of another realm',
      (array) =>
        runInNewContext('const a = new Float32Array(new SharedArrayBuffer(4 * x.length)); a.set(x); a', {
          x: [...array],
        }),
    ],
  ])('%s: for params, gradients, rows and values', async (_title, of) => {
    const w = of(numbers(18, 1));
    const twin = numbers(18, 1);
    const [optimizer, other] = [make([w], { ema: 0.9 }), make([twin], { ema: 0.9 })];
    const g = of(numbers(18, 2));
    const values = of(numbers(4, 3));
    const memory = of(new Float32Array(2));
    for (const kind of [Int32Array, Uint32Array]) {
      const rows = new kind(memory.buffer as ArrayBuffer, memory.byteOffset, 2);
      rows.set([7, 2]);
      await Promise.all([optimizer.stepAsync([g]), optimizer.stepAsync([{ rows, values }])]);
      other.step([numbers(18, 2)]);
      other.step([{ rows: Int32Array.of(7, 2), values: numbers(4, 3) }]);
    }
    expect(snapshot(optimizer, [Float32Array.from(w)])).toBe(snapshot(other, [twin]));
  });

  const resizable = (array: Float32Array) => {
    const view = new Float32Array(new (ArrayBuffer as Any)(array.length * 4, { maxByteLength: 4096 }));
    view.set(array);
    return view;
  };
  const marked = (array: Float32Array, bytes = array.length * 4) => {
    const view = new Float32Array(new ArrayBuffer(bytes), 0, array.length);
    view.set(array);
    markAsUntransferable(view.buffer);
    return view;
  };
  const lying = (array: Float32Array) => {
    const own = (view: object, of: Record<string, unknown>) => {
      for (const [key, value] of Object.entries(of)) Object.defineProperty(view, key, { value });
    };
    own(array.buffer, { resizable: false, transfer: undefined, byteLength: 65536, constructor: SharedArrayBuffer });
    own(array, { buffer: new SharedArrayBuffer(64), byteOffset: 0, constructor: SharedArrayBuffer });
    return array;
  };
  test.each<[string, (array: Float32Array) => Float32Array]>([
    ['a plain array', (array) => array.slice()],
    [
      'a part of a larger one',
      (array) => {
        const view = new Float32Array(array.length + 2).subarray(1, 1 + array.length);
        view.set(array);
        return view;
      },
    ],
    ['a resizable buffer', resizable],
    ['a buffer marked as untransferable', marked],
    ['one that is as large as WebAssembly memory', (array) => marked(array, 65536 * 4)],
    [
      "Buffer's pool",
      (array) => {
        const { buffer, byteOffset } = Buffer.allocUnsafe(array.byteLength);
        const view = new Float32Array(buffer, byteOffset, array.length);
        view.set(array);
        return view;
      },
    ],
    ['a plain array that lies', (array) => lying(array.slice())],
    ['a resizable buffer that lies', (array) => lying(resizable(array))],
    ['a marked buffer that lies', (array) => lying(marked(array, 65536))],
    [
      'a marked, resizable buffer that lies',
      (array) => {
        const view = resizable(array);
        markAsUntransferable(view.buffer);
        return lying(view);
      },
    ],
  ])('%s is refused', async (_title, of) => {
    const where = /expected memory that stays in place .+allocate\(length\)/;
    const w = pinned(18, 1);
    const optimizer = make({ w });
    const before = snapshot(optimizer, [w]);
    const rows = of(numbers(2, 1));
    const heldRows = new Int32Array(
      (Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Float32Array.prototype), 'buffer')!.get as Any).call(rows),
      0,
      2,
    ).fill(0);
    for (const [grad, path] of [
      [of(numbers(18, 2)), 'grads\\["w"\\]'],
      [{ rows: rowsOf(1, 2), values: of(numbers(4, 1)) }, 'grads\\["w"\\]\\.values'],
      [{ rows: heldRows, values: pinned(4, 1) }, 'grads\\["w"\\]\\.rows'],
    ] as [Any, string][]) {
      const error = await rejected(TypeError, where, () => optimizer.stepAsync({ w: grad }));
      expect(error.message).toMatch(new RegExp(`^Adam: ${path}: `));
    }
    expect(snapshot(optimizer, [w])).toBe(before);
    expect(optimizer.step({ w: of(numbers(18, 2)) })).toEqual({ applied: true });
    const movable = make([pinned(3, 1), of(numbers(18, 1))]);
    const error = await rejected(TypeError, where, () => movable.stepAsync([pinned(3, 1), pinned(18, 1)]));
    expect(error.message).toMatch(/^Adam: params\[1\]: /);
    expect(movable.step([pinned(3, 1), pinned(18, 1)])).toEqual({ applied: true });
  });

  test('empty arrays are allowed, unless their buffer may grow while the step waits', async () => {
    const empty = () => new Float32Array(0);
    const optimizer = make([pinned(18, 1), empty()]);
    const rows = new Int32Array(0);
    expect(await optimizer.stepAsync([{ rows, values: empty() }, empty()])).toEqual({ applied: true });
    const buffer = () => new (ArrayBuffer as Any)(0, { maxByteLength: 1024 });
    const [growing, values] = [new Int32Array(buffer()), new Float32Array(buffer())];
    const pending = optimizer.stepAsync([pinned(18, 1), null]);
    const grown = optimizer.stepAsync([{ rows: growing, values }, null]);
    (growing.buffer as Any).resize(4);
    (values.buffer as Any).resize(8);
    await rejected(TypeError, /grads\[0\]\.rows: .+allocate\(length\)/, () => grown);
    await pending;
    expect(optimizer.stepCount).toBe(2);
  });

  test('memory that is freed while a step waits rejects that step', async () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 8 });
    const g = new Float32Array(memory.buffer, 0, 4);
    const w = pinned(4, 1);
    const optimizer = make([w]);
    const [ran, waited, next] = [g, g, pinned(4, 1)].map((grad) => optimizer.stepAsync([grad]));
    memory.grow(1);
    expect(await ran).toEqual({ applied: true });
    await rejected(TypeError, /grads\[0\]: a detached Float32Array/, () => waited!);
    expect(await next).toEqual({ applied: true });
    expect(optimizer.stepCount).toBe(2);
    await rejected(TypeError, /grads\[0\]: a detached Float32Array/, () => optimizer.stepAsync([g]));

    const lost = make([new Float32Array(memory.buffer, 0, 4), pinned(3, 1)]);
    const both = [1, 2].map(() => lost.stepAsync([pinned(4, 1), pinned(3, 1)]));
    memory.grow(1);
    expect(await both[0]).toEqual({ applied: true });
    await rejected(TypeError, /params\[0\]: a detached Float32Array/, () => both[1]!);
    expect(lost.stepCount).toBe(1);
  });
});

test('a message cannot move memory of allocate: it is refused, or sends a copy', () => {
  const [array, { port1, port2 }] = [allocate(4).fill(5), new MessageChannel()];
  try {
    port1.postMessage(array, [array.buffer as ArrayBuffer]); // Node 20 sends a copy
  } catch (error) {
    expect((error as Error).name).toBe('DataCloneError');
  }
  const sent = receiveMessageOnPort(port2)?.message as Float32Array | undefined;
  array[0] = 9;
  expect([...array]).toEqual([9, 5, 5, 5]);
  if (sent !== undefined) expect([...sent]).toEqual([5, 5, 5, 5]);
  port1.close();
});
