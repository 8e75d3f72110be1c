// Params and gradients of every class: each wrong argument is refused in the library's error shape, and changes
// nothing.
import { describe, expect, test } from 'vitest';
import { type Any, type Case, classes, harmless, numbers, refused, snapshot, titled } from '../support/rig.js';
import { sample } from '../support/sample.js';

describe.each(titled(sample(classes, 10)))('%s', (_, c) => {
  const w = () => numbers(4, 1);
  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /params: undefined/, undefined],
    ['null', TypeError, /params: null/, null],
    ['a number', TypeError, /params: 1/, 1],
    ['a string', TypeError, /params: "w"/, 'w'],
    ['a function', TypeError, /params: a function/, () => w()],
    ['an empty list', RangeError, /params: nothing/, []],
    ['an empty record', RangeError, /params: nothing/, {}],
    ['an empty group', RangeError, /params\[0\]\.params: nothing/, [{ params: [] }]],
    ['Float64Array', TypeError, /params: Float64Array\(4\), expected .*Float32Array\.from/, new Float64Array(4)],
    [
      'Float64Array in a list',
      TypeError,
      /params\[1\]: Float64Array\(4\), expected .*Float32Array\.from/,
      [w(), new Float64Array(4)],
    ],
    ['Int32Array', TypeError, /params: Int32Array\(4\)/, new Int32Array(4)],
    ['DataView', TypeError, /params: DataView/, new DataView(new ArrayBuffer(16))],
    ['ArrayBuffer', TypeError, /params: an ArrayBuffer/, new ArrayBuffer(16)],
    ['number[]', TypeError, /params: \[1, 2, 3\], expected .*Float32Array\.from/, [1, 2, 3]],
    ['number[] in a record', TypeError, /params\["a"\]: \[1, 2\], expected .*Float32Array\.from/, { a: [1, 2] }],
    ['a hole', TypeError, /params\[1\]: undefined/, [w(), , w()]],
    ['only holes', TypeError, /params\[0\]: undefined/, new Array(2)],
    ['a proxy of an array', TypeError, /params/, new Proxy(w(), {})],
    ['a hollow Float32Array', RangeError, /params: nothing/, Object.create(Float32Array.prototype)],
    [
      'a shape that does not fit',
      RangeError,
      /params\.shape: \[2, 3\], expected a product of 4/,
      { data: w(), shape: [2, 3] },
    ],
    ['an empty shape', TypeError, /params\.shape: \[\]/, { data: w(), shape: [] }],
    [
      'a shape of one that does not fit',
      RangeError,
      /params\.shape: \[5\], expected a product of 4/,
      { data: w(), shape: [5] },
    ],
    ['no shape', TypeError, /params\.shape: undefined/, { data: w() }],
    ['a fractional shape', RangeError, /params\.shape\[0\]: 0\.5/, { data: w(), shape: [0.5, 8] }],
    ['a negative shape', RangeError, /params\.shape\[0\]: -2/, { data: w(), shape: [-2, -2] }],
    ['a shape with holes', TypeError, /params\.shape\[0\]: undefined/, { data: w(), shape: new Array(2) }],
    ['a shaped Float64Array', TypeError, /params/, { data: new Float64Array(4), shape: [2, 2] }],
    ['a group beside a param', TypeError, /params\[1\]: Float32Array/, [{ params: w() }, w()]],
    ['a hole among groups', TypeError, /params\[1\]: undefined/, [{ params: w() }, ,]],
    ['groups in a group', TypeError, /params\[0\]\.params/, [{ params: [{ params: w() }] }]],
    ['named and unnamed groups', TypeError, /without a name/, [{ params: { a: w() } }, { params: w() }]],
    ['a name twice', RangeError, /a name used before/, [{ params: { a: w() } }, { params: { a: w() } }]],
  ])('params: %s', (_, kind, message, params) => {
    refused(kind, message, () => c.make(params));
  });

  test('addParamGroup adds the whole group or nothing', () => {
    const attack = (kind: typeof TypeError | typeof RangeError, message: RegExp, group: (a: Float32Array) => unknown) =>
      harmless(c, kind, message, ({ optimizer, a }) => optimizer.addParamGroup(group(a) as Any), { ema: 0.9 });
    attack(TypeError, /group: undefined/, () => undefined);
    attack(TypeError, /group: null/, () => null);
    attack(TypeError, /group: Float32Array/, () => w());
    attack(TypeError, /group: an object/, () => ({ c: w() }));
    attack(TypeError, /without a name/, () => ({ params: w() }));
    attack(RangeError, /a name used before/, () => ({ params: { a: w() } }));
    attack(RangeError, /paramGroups\[1\]\.params: nothing/, () => ({ params: {} }));
    attack(RangeError, /memory shared with params\["a"\]/, (a) => ({ params: { c: w(), d: a.subarray(1, 3) } }));
    attack(TypeError, /Float64Array/, () => ({ params: { c: w(), d: new Float64Array(1) } }));
    attack(TypeError, /unknown option/, () => ({ params: { c: w() }, learningRate: 1 }));
  });

  // ---- grads ----

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /grads: undefined, expected a record/, undefined],
    ['null for all', TypeError, /grads: null, expected a record/, null],
    ['one array', TypeError, /grads: Float32Array\(5\), expected a record/, numbers(5, 1)],
    [
      'a list',
      TypeError,
      /grads: \[Float32Array\(5\), Float32Array\(18\)\], expected a record/,
      [numbers(5, 1), numbers(18, 1)],
    ],
    ['a name missing', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1) }],
    ['undefined for a name', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1), b: undefined }],
    [
      'a name too many',
      TypeError,
      /grads\["c"\]: no such param, expected one of "a", "b"/,
      { a: numbers(5, 1), b: null, c: null },
    ],
    ['a wrong name', TypeError, /grads\["b"\]: undefined/, { a: numbers(5, 1), B: null }],
    ['too short', RangeError, /grads\["a"\]: length 4, expected 5 \("a"\)$/, { a: numbers(4, 1), b: null }],
    ['too long', RangeError, /grads\["b"\]: length 19, expected 18 \("b"\)$/, { a: null, b: numbers(19, 1) }],
    ['empty', RangeError, /grads\["a"\]: length 0, expected 5 \("a"\)$/, { a: numbers(0, 1), b: null }],
    [
      'Float64Array',
      TypeError,
      /grads\["a"\]: Float64Array\(5\), expected .*Float32Array\.from/,
      { a: new Float64Array(5), b: null },
    ],
    [
      'number[]',
      TypeError,
      /grads\["a"\]: an array of 5, expected .*Float32Array\.from/,
      { a: [1, 2, 3, 4, 5], b: null },
    ],
    ['Int32Array', TypeError, /grads\["a"\]: Int32Array\(5\)/, { a: new Int32Array(5), b: null }],
    ['DataView', TypeError, /grads\["a"\]: DataView/, { a: new DataView(new ArrayBuffer(20)), b: null }],
    ['a proxy', TypeError, /grads\["a"\]/, { a: new Proxy(numbers(5, 1), {}), b: null }],
    ['a number', TypeError, /grads\["a"\]: 0/, { a: 0, b: null }],
    ['false', TypeError, /grads\["a"\]: false/, { a: false, b: null }],
    ['the second wrong', RangeError, /grads\["b"\]: length 1, expected 18/, { a: numbers(5, 1), b: numbers(1, 1) }],
  ])('grads of a record: %s', (_, kind, message, grads) => {
    harmless(c, kind, message, ({ optimizer }) => optimizer.step(grads as Any), { zeroGrads: true, ema: 0.5 });
  });

  test.each<[string, typeof TypeError | typeof RangeError, RegExp, unknown]>([
    ['undefined', TypeError, /grads: undefined, expected a list of 2/, undefined],
    ['null for all', TypeError, /grads: null/, null],
    ['one array', TypeError, /grads: Float32Array\(4\), expected a list of 2/, numbers(4, 1)],
    ['a record', TypeError, /grads: an object, expected a list of 2/, { 0: null, 1: null }],
    ['one too few', RangeError, /grads: 1 gradient\(s\), expected 2/, [null]],
    ['one too many', RangeError, /grads: 3 gradient\(s\), expected 2/, [null, null, null]],
    ['numbers', TypeError, /grads: \[1, 2, 3\], expected a list of 2 gradients .*Float32Array\.from/, [1, 2, 3]],
    ['a hole', TypeError, /grads\[0\]: undefined/, [, null]],
    ['too short', RangeError, /grads\[1\]: length 3, expected 4$/, [null, numbers(3, 1)]],
  ])('grads of a list: %s', (_, kind, message, grads) => {
    const params = [numbers(4, 1), numbers(4, 2)];
    const optimizer = c.make(params);
    const before = snapshot(optimizer, params);
    refused(kind, message, () => optimizer.step(grads as Any));
    expect(snapshot(optimizer, params)).toBe(before);
  });

  test('gradients of a single param are checked', () => {
    const param = numbers(4, 1);
    const optimizer = c.make(param);
    const before = snapshot(optimizer, [param]);
    refused(TypeError, /grads: undefined/, () => optimizer.step(undefined as Any));
    refused(TypeError, /grads/, () => optimizer.step({ 0: numbers(4, 1) } as Any));
    refused(RangeError, /grads/, () => optimizer.step([null, null]));
    for (const plain of [[1], [1, 2, 3, 4]] as Any[])
      refused(TypeError, /grads: .*, expected a Float32Array or null .*Float32Array\.from/, () =>
        optimizer.step(plain),
      );
    refused(RangeError, /grads: length 3, expected 4$/, () => optimizer.step(numbers(3, 1)));
    expect(snapshot(optimizer, [param])).toBe(before);
  });
});

test('values that are hard to print still give an error', () => {
  const circular: unknown[] = [];
  circular.push(circular);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const bare = new Int32Array(1);
  Object.defineProperty(bare, 'constructor', { value: undefined });
  const adam = classes.find(({ title }) => title === 'Adam') as Case;
  for (const value of [circular, bare, Object.create(null), class A {}, /x/, new Map()]) {
    const isEmpty = Object.getPrototypeOf(value) === null;
    refused(isEmpty ? RangeError : TypeError, /^Adam: params/, () => adam.make([value]));
    refused(TypeError, /^Adam: eps: /, () =>
      adam.make(numbers(4, 1), { eps: value === circular ? circular : [value] }),
    );
  }
  expect(() => adam.make([proxy])).toThrow(TypeError);
});
