// Every rule of the format: a file that breaks one is an error that says which, whoever reads it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  inspectCheckpoint,
  loadCheckpoint,
  readSafetensors,
  saveCheckpoint,
  writeSafetensors,
} from '../../../lib/index.js';
import { type Any, fileOf, refused, scratch } from '../../support/checkpoint.js';
import { all } from '../../support/sample.js';

const folder = scratch();
const path = join(folder, 'x.safetensors');
const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
const four = Buffer.alloc(4);
const json = (header: unknown, data: Uint8Array = four): Buffer => fileOf(JSON.stringify(header), data);

const broken: readonly (readonly [title: string, bytes: Uint8Array, message: string | RegExp])[] = [
  ['nothing', Buffer.alloc(0), '0 bytes, expected at least 8'],
  ['7 bytes', Buffer.alloc(7), '7 bytes, expected at least 8'],
  ['a header longer than the file', Buffer.from('0900000000000000', 'hex'), 'a header of 9 bytes, expected at most 0'],
  [
    'a header of 2^64 − 1 bytes',
    Buffer.alloc(64, 255),
    'a header of 18446744073709551615 bytes, expected at most 100000000',
  ],
  [
    'a header over 100 MB',
    Buffer.concat([Buffer.from('01e1f50500000000', 'hex'), Buffer.alloc(64)]),
    'expected at most 100000000',
  ],
  ['an empty header', fileOf(''), 'expected "{"'],
  ['white space before the header', fileOf(' {}'), 'expected "{"'],
  ['a list', fileOf('[]'), 'expected "{"'],
  ['no JSON', fileOf('{"a":}'), 'expected UTF-8 text in JSON'],
  ['JSON that goes on', fileOf('{}{}'), 'expected UTF-8 text in JSON'],
  ['a NUL after the header', fileOf('{}\0'), 'expected UTF-8 text in JSON'],
  ['no UTF-8', fileOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), 'expected UTF-8 text in JSON'],
  ['a deep list', fileOf(`{"a":${'['.repeat(100_000)}`), 'expected UTF-8 text in JSON'],
  ['a name twice', fileOf(`{"a":${JSON.stringify(one)},"a":${JSON.stringify(one)}}`, four), '"a" twice in the header'],
  [
    'a name twice, once escaped',
    fileOf(`{"a":${JSON.stringify(one)}, "\\u0061" :${JSON.stringify(one)}}`, four),
    '"a" twice',
  ],
  ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" twice'],
  ['a key of metadata twice', fileOf('{"__metadata__":{"k":"}","k":"{"}}'), '"k" twice'],
  [
    'dtype twice',
    fileOf('{"a":{"dtype":"F64","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
    '"dtype" twice',
  ],
  ['metadata that is a list', json({ __metadata__: [], a: one }), '__metadata__: [], expected an object of strings'],
  ['metadata that is null', json({ __metadata__: null, a: one }), '__metadata__: null'],
  ['a number in metadata', json({ __metadata__: { k: 1 }, a: one }), '__metadata__["k"]: 1, expected a string'],
  ['a tensor that is a number', json({ a: 1 }), 'tensor "a": 1'],
  ['a tensor without dtype', json({ a: { ...one, dtype: undefined } }), 'tensor "a": dtype undefined'],
  ['an unknown dtype', json({ a: { ...one, dtype: 'F31' } }), 'tensor "a": dtype "F31", expected one of'],
  ['dtype in lower case', json({ a: { ...one, dtype: 'f32' } }), 'dtype "f32"'],
  ['a dtype that JavaScript knows', json({ a: { ...one, dtype: 'constructor' } }), 'dtype "constructor"'],
  ['no shape', json({ a: { ...one, shape: undefined } }), 'shape undefined'],
  ['a shape that is a number', json({ a: { ...one, shape: 1 } }), 'shape 1'],
  ['a negative size', json({ a: { ...one, shape: [-1, -1] } }), 'expected a list of whole numbers'],
  ['a broken size', json({ a: { ...one, shape: [0.5, 2] } }), 'expected a list of whole numbers'],
  ['a size as a string', json({ a: { ...one, shape: ['1'] } }), 'expected a list of whole numbers'],
  ['a size of 2^53', json({ a: { ...one, shape: [2 ** 53] } }), 'expected a list of whole numbers'],
  [
    'sizes whose product overflows',
    json({ a: { ...one, shape: [2 ** 52, 2 ** 52] } }),
    'expected a whole number of bytes',
  ],
  [
    'an overflow that a 0 hides',
    json({ a: { ...one, shape: [2 ** 52, 2 ** 52, 0], data_offsets: [0, 0] } }, Buffer.alloc(0)),
    'expected a whole number of bytes',
  ],
  ['no offsets', json({ a: { ...one, data_offsets: undefined } }), 'expected [begin, end]'],
  ['one offset', json({ a: { ...one, data_offsets: [0] } }), 'expected [begin, end]'],
  ['three offsets', json({ a: { ...one, data_offsets: [0, 4, 8] } }), 'expected [begin, end]'],
  ['offsets that go back', json({ a: { ...one, data_offsets: [4, 0] } }), 'expected [begin, end]'],
  ['a negative offset', json({ a: { ...one, data_offsets: [-4, 0] } }), 'expected [begin, end]'],
  ['offsets as strings', json({ a: { ...one, data_offsets: ['0', '4'] } }), 'expected [begin, end]'],
  [
    'another size than that of the shape',
    json({ a: { ...one, shape: [2] } }),
    'tensor "a": 4 bytes, expected 8, for shape [2] of F32',
  ],
  ['half a byte', json({ a: { dtype: 'F4', shape: [7], data_offsets: [0, 4] } }), 'expected a whole number of bytes'],
  [
    'a hole at the start',
    json({ a: { ...one, data_offsets: [4, 8] } }, Buffer.alloc(8)),
    'tensor "a" at 4, expected 0',
  ],
  ['a hole', json({ a: one, b: { ...one, data_offsets: [8, 12] } }, Buffer.alloc(12)), 'tensor "b" at 8, expected 4'],
  [
    'an overlap',
    json({ a: { ...one, shape: [2], data_offsets: [0, 8] }, b: { ...one, data_offsets: [4, 8] } }, Buffer.alloc(8)),
    'tensor "b" at 4, expected 8',
  ],
  ['the same data twice', json({ a: one, b: one }), 'tensor "b" at 0, expected 4'],
  ['data that is missing', json({ a: one }, Buffer.alloc(3)), '3 bytes of data, expected 4'],
  ['data that is left over', json({ a: one }, Buffer.alloc(5)), '5 bytes of data, expected 4'],
];

test.each(broken)('refused: %s', async (_, bytes, message) => {
  writeFileSync(path, bytes);
  const params = [new Float32Array(1)];
  await refused(readSafetensors(path), 'SCHUSS_DAMAGED', message);
  await refused(readSafetensors(path, { names: [] }), 'SCHUSS_DAMAGED', message);
  await refused(inspectCheckpoint(path), 'SCHUSS_DAMAGED', message);
  await refused(loadCheckpoint(path, { params }), 'SCHUSS_DAMAGED', message);
  expect(params).toEqual([new Float32Array(1)]);
});

describe('a function as names', () => {
  const error = new Error('mine');
  const cases: [string, () => Promise<unknown>][] = [
    [
      'its error goes through',
      async () => {
        const throwing = readSafetensors(path, {
          names: () => {
            throw error;
          },
        });
        await expect(throwing).rejects.toBe(error);
      },
    ],
    [
      'it cannot change the shapes',
      async () => {
        const names: Any = (_: string, { shape }: { shape: number[] }) => shape.push(7) > 0;
        expect((await readSafetensors(path, { names })).tensors['a']!.shape).toEqual([1]);
      },
    ],
  ];
  test.each(cases)('%s', async (_, check) => {
    writeFileSync(path, json({ a: one }));
    await check();
  });

  test('the SHA-256 is verified if all tensors are wanted', async () => {
    await saveCheckpoint(path, { params: { a: new Float32Array(1), b: new Float32Array(1) } });
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = 1;
    writeFileSync(path, bytes);
    const { tensors } = await readSafetensors(path, { names: (name) => name.endsWith('a') });
    expect(Object.keys(tensors)).toHaveLength(1);
    await refused(readSafetensors(path, { names: () => true }), 'SCHUSS_DAMAGED', 'SHA-256');
  });
});

describe('allowed', () => {
  const read = async (bytes: Uint8Array, names?: string[]) => {
    writeFileSync(path, bytes);
    return readSafetensors(path, { names });
  };

  test('a header that is not padded, or with any white space', async () => {
    expect((await read(json({ a: one }))).tensors['a']!.shape).toEqual([1]);
    expect(
      (await read(fileOf('{ \n\t"a" : {"dtype":"F32","shape":[ ],"data_offsets":[0,4]}}\r\n ', four))).tensors['a']!
        .shape,
    ).toEqual([]);
  });

  test('tensors in any order, empty ones, and other fields', async () => {
    const header = {
      b: { ...one, data_offsets: [4, 8] },
      none: { dtype: 'F16', shape: [3, 0], data_offsets: [4, 4] },
      a: { ...one, more: 1 },
    };
    const data = Buffer.from(Float32Array.of(1, 2).buffer);
    const { tensors } = await read(json(header, data));
    expect([tensors['a']!.data[0], tensors['b']!.data[0], tensors['none']!.shape]).toEqual([1, 2, [3, 0]]);
  });

  test('names that JavaScript knows', async () => {
    const { tensors, metadata } = await read(
      fileOf(`{"__metadata__":{"__proto__":"m"},"__proto__":${JSON.stringify(one)}}`, four),
    );
    expect(Object.keys(tensors)).toEqual(['__proto__']);
    expect(Object.entries(metadata)).toEqual([['__proto__', 'm']]);
  });

  test.each(['I8', 'BOOL', 'F8_E4M3'])('%s, unless it is asked for', async (dtype) => {
    const bytes = json({ a: one, 'b.c': { dtype, shape: [2], data_offsets: [4, 6] } }, Buffer.alloc(6));
    expect(Object.keys((await read(bytes, ['a'])).tensors)).toEqual(['a']);
    await refused(read(bytes), 'SCHUSS_FOREIGN', `tensor "b.c": dtype ${dtype}, expected F32, F64, F16, BF16`);
    await refused(read(bytes, ['b.c']), 'SCHUSS_FOREIGN', `tensor "b.c": dtype ${dtype}`);
  });

  test('a name that the file lacks is named with the nearest', async () => {
    const bytes = json({ 'fc.weight': one });
    await refused(read(bytes, ['fc.weigth']), 'SCHUSS_MISMATCH', 'no tensor "fc.weigth", expected "fc.weight"');
    await refused(read(bytes, ['x']), 'SCHUSS_MISMATCH', 'no tensor "x"');
  });
});

test('a tree of tensors is stored under its paths', async () => {
  class Layer {
    readonly weight = { data: Float32Array.of(1, 2), shape: [1, 2] as const };
    readonly bias = Float32Array.of(3);
    forward(): number {
      return this.bias[0]!;
    }
  }
  await writeSafetensors(path, {
    layers: [new Layer() as Any, { weight: Float32Array.of(4) }],
    scale: Float32Array.of(5),
  });
  const { tensors } = await readSafetensors(path);
  expect(tensors).toEqual({
    'layers.0.weight': { data: Float32Array.of(1, 2), shape: [1, 2] },
    'layers.0.bias': { data: Float32Array.of(3), shape: [1] },
    'layers.1.weight': { data: Float32Array.of(4), shape: [1] },
    scale: { data: Float32Array.of(5), shape: [1] },
  });
  await writeSafetensors(path, [Float32Array.of(1), Float32Array.of(2)]);
  expect(Object.keys((await readSafetensors(path)).tensors)).toEqual(['0', '1']);
});

test('files that are none', async () => {
  mkdirSync(join(folder, 'directory'));
  await refused(readSafetensors(join(folder, 'directory')), 'EISDIR', 'a directory (EISDIR), expected a file');
  await refused(
    readSafetensors(join(folder, 'missing')),
    'ENOENT',
    'no such file or directory (ENOENT), expected an existing file',
  );
  await refused(readSafetensors(join(path, 'x')), 'ENOTDIR', 'a path through a file (ENOTDIR)');
  await refused(readSafetensors('/dev/zero'), 'EINVAL', 'a pipe or a device, expected a regular file');
});

describe('arguments', () => {
  const a = new Float32Array(1);
  const detached = new Float32Array(1);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const cycle = (): Any => {
    const layer: Any = { w: a };
    layer.self = layer;
    return { l: layer };
  };
  const cases: readonly (readonly [typeof TypeError | typeof RangeError, string, () => Promise<unknown>])[] = [
    [TypeError, 'readSafetensors: path: 1, expected a path', () => readSafetensors(1 as Any)],
    [TypeError, 'readSafetensors: path: "", expected a path', () => readSafetensors('')],
    [TypeError, 'readSafetensors: path: "a\\u0000b", expected a path', () => readSafetensors('a\0b')],
    [
      TypeError,
      'readSafetensors: name: unknown option, expected names',
      () => readSafetensors(path, { name: [] } as Any),
    ],
    [
      TypeError,
      'readSafetensors: names: "a", expected a list of names, or a function of a name',
      () => readSafetensors(path, { names: 'a' as Any }),
    ],
    [
      TypeError,
      'readSafetensors: names: a function that returned undefined, expected one that returns true or false',
      async () => {
        await writeSafetensors(path, { a });
        await readSafetensors(path, { names: (() => {}) as Any });
      },
    ],
    [TypeError, 'readSafetensors: names[0]: 1, expected a name', () => readSafetensors(path, { names: [1] as Any })],
    [TypeError, 'writeSafetensors: tensors: null', () => writeSafetensors(path, null as Any)],
    [TypeError, 'writeSafetensors: tensors: [], expected a record', () => writeSafetensors(path, [] as Any)],
    [
      TypeError,
      'writeSafetensors: tensors["a"]: [1], expected a typed array',
      () => writeSafetensors(path, { a: [1] as Any }),
    ],
    [
      TypeError,
      'writeSafetensors: tensors["a"]: DataView(1), expected',
      () => writeSafetensors(path, { a: new DataView(new ArrayBuffer(1)) as Any }),
    ],
    [TypeError, 'writeSafetensors: tensors["a"].data: undefined', () => writeSafetensors(path, { a: {} as Any })],
    [
      TypeError,
      'writeSafetensors: tensors["a"].shape: undefined',
      () => writeSafetensors(path, { a: { data: a } as Any }),
    ],
    [
      RangeError,
      'writeSafetensors: tensors["a"].shape[0]: -1',
      () => writeSafetensors(path, { a: { data: a, shape: [-1] } }),
    ],
    [
      RangeError,
      'writeSafetensors: tensors["a"].shape: [2], expected a product of 1',
      () => writeSafetensors(path, { a: { data: a, shape: [2] } }),
    ],
    [TypeError, 'writeSafetensors: tensors["a"]: a detached array', () => writeSafetensors(path, { a: detached })],
    [
      RangeError,
      'writeSafetensors: tensors: "__metadata__", expected another name',
      () => writeSafetensors(path, { __metadata__: a }),
    ],
    [RangeError, 'expected text without lone surrogates', () => writeSafetensors(path, { '\ud800': a })],
    [
      RangeError,
      'expected text without lone surrogates',
      () => writeSafetensors(path, { a }, { metadata: { k: '\udfff' } }),
    ],
    [
      TypeError,
      'writeSafetensors: metadata["epoch"]: 3, expected a string',
      () => writeSafetensors(path, { a }, { metadata: { epoch: 3 as Any } }),
    ],
    [
      TypeError,
      'writeSafetensors: metadata: "m", expected a record of strings',
      () => writeSafetensors(path, { a }, { metadata: 'm' as Any }),
    ],
    [
      TypeError,
      'writeSafetensors: tensors["l.0"].data: undefined',
      () => writeSafetensors(path, { l: [{} as Any, a] }),
    ],
    [TypeError, 'writeSafetensors: tensors["l.self"]: a cycle', () => writeSafetensors(path, cycle())],
    [
      RangeError,
      'writeSafetensors: tensors: "l.w" twice, expected unique names',
      () => writeSafetensors(path, { 'l.w': a, l: { w: a } }),
    ],
    [TypeError, 'writeSafetensors: signal: {}', () => writeSafetensors(path, { a }, { signal: {} as Any })],
  ];
  // A text of this length takes seconds.
  const long: typeof cases = [
    [
      RangeError,
      'writeSafetensors: header: 100000048 bytes, expected at most 100000000',
      () => writeSafetensors(path, { a }, { metadata: { k: 'x'.repeat(99_999_970) } }),
    ],
  ];
  test.each(all ? [...cases, ...long] : cases)('%o: %s', async (kind, message, action) => {
    const error = await action().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message.replaceAll('an object', '{}')).toContain(message);
  });
});
