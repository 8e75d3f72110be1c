import { bufferOf, ofThisRealm } from '../check/typed-array.js';
import { Bfloat16Block } from './bfloat16-state.js';
import { ArrayBlock, type Block, type BlockFunctions, NativeBlock } from './block.js';
import type { Engine, Isa, Plan, Rows } from './engine.js';
import type { KernelDeclaration } from './kernel.js';
import type { Columns, Linalg, Vector } from './linalg.js';
import { findAddon } from './prebuilds.js';
import { referenceLinalg as js } from './reference-linalg.js';
import { soon } from './soon.js';
import type { TableRows } from './table-rows.js';

/** A plan of the addon. Without arguments, or with `true`, it steps. With two it registers a gradient and returns its address. */
interface AddonPlan {
  (haveLengths?: true): void;
  (index: number, grad: Float32Array): number;
}

interface AddonEngine extends Linalg, TableRows {
  readonly kernels: readonly {
    readonly name: string;
    readonly state: string;
    readonly constants: string;
    /** Absent in addons older than Adafactor. */
    readonly layout?: readonly string[];
    readonly perRow: boolean;
    readonly norms: boolean;
    readonly numbers: string;
  }[];
  createPlan(count: number, stride: number, memory: Float32Array, numberCount: number): AddonPlan;
  setTensor(
    plan: AddonPlan,
    index: number,
    kernel: string,
    param: Float32Array,
    state: readonly object[],
    ema: object | null,
    columns: number,
    side?: number,
    firstElement?: number,
  ): void;
  setRowGrad(plan: AddonPlan, index: number, rows: Rows, values: Float32Array): number;
  /** `layout`: row and column strides of a and of b, rows, columns, depth, and 1 if the product is symmetric. */
  matmul(a: Float32Array, b: Float32Array, out: Float32Array, layout: Uint32Array): void;
  eigenvectors(matrix: Float32Array, side: number, vectors: Float32Array, values: Float64Array): void;
  inverseRoot(
    matrix: Float32Array,
    side: number,
    divisor: number,
    eps: number,
    isQuarter: number,
    out: Float32Array,
  ): void;
  orthonormalize(matrix: Float32Array, side: number, out: Float32Array): void;
  /** Returns whether the step has run. If not, it calls `done` when it has. */
  stepAsync(plan: AddonPlan, done: () => void): boolean;
  measureSums(plan: AddonPlan, sums: Float64Array): void;
  stepWithSums(plan: AddonPlan, sums: Float64Array): void;
  freePlan(plan: () => void): void;
  sumSquares(x: Float32Array): number;
  lerp(target: Float32Array, source: Float32Array, rate: number): void;
  add(target: Float32Array, source: Float32Array): void;
  scale(x: Float32Array, factor: number): void;
  compress(x: Float32Array, residual: Float32Array, factor: number, rounded: Uint16Array, rest: Float32Array): void;
  expand(bits: Uint16Array, x: Float32Array): void;
}

interface Addon extends BlockFunctions {
  /** Instruction sets of this build that this CPU can run, widest first. */
  readonly isas: readonly Isa[];
  engine(isa: Isa): AddonEngine | undefined;
  /** Upper bound on the threads of a step, for the whole process. 0 until it is set. */
  threads(): number;
  setThreads(n: number, always?: boolean): void;
  allocate(length: number): Float32Array | undefined;
  useLargePages(array: Float32Array): void;
  address(array: Float32Array | Rows): number;
  owns(array: Float32Array): boolean;
}

/** Loads the addon from build/ or prebuilds/. @throws Error that says why there is none */
export function loadAddon(): Addon {
  const { addon, file } = findAddon();
  const { isas, engine } = (addon ?? {}) as Partial<Addon>;
  // A bundler that empties files, an alias or a mock puts something else in its place.
  if (!Array.isArray(isas) || isas.length === 0 || typeof engine !== 'function')
    throw new Error(`${file} is not the addon of schuss`);
  return addon as Addon;
}

/** Length from which large pages pay: 4 MB. */
const largeLength = 1 << 20;

const functionsOfAddon = [
  'threads',
  'setThreads',
  'allocate',
  'useLargePages',
  'address',
  'owns',
  'createBlock',
  'readBlock',
  'writeBlock',
  'fillBlock',
  'viewBlock',
  'freeBlock',
] as const satisfies (keyof Addon)[];

// A record, so that the compiler reports a missing name.
const functionsOfEngine = Object.keys({
  createPlan: true,
  setTensor: true,
  setRowGrad: true,
  stepAsync: true,
  measureSums: true,
  stepWithSums: true,
  freePlan: true,
  sumSquares: true,
  lerp: true,
  add: true,
  scale: true,
  compress: true,
  expand: true,
  dot: true,
  axpby: true,
  multiply: true,
  maxAbs: true,
  maxAbsDifference: true,
  project: true,
  addCombination: true,
  gemmInPlace: true,
  gram: true,
  matmul: true,
  eigenvectors: true,
  inverseRoot: true,
  orthonormalize: true,
  gatherRows: true,
  scaleRows: true,
  dotRows: true,
  meanRows: true,
} satisfies Record<Exclude<keyof AddonEngine, 'kernels'>, true>);

/** Refuses an addon that lacks a function. @throws Error */
function checkFunctions(holder: object, names: readonly string[]): void {
  const lacking = names.find((name) => typeof (holder as Record<string, unknown>)[name] !== 'function');
  if (lacking !== undefined)
    throw new Error(`schuss: the addon lacks "${lacking}": it is of another version, build it again`);
}

/** A layout as the addon spells it: to a kernel, blocks are rows. */
function layoutOf(layout = 'element'): string {
  return layout === 'block' ? 'row' : layout;
}

function differs(spelled: string, declared: readonly string[]): boolean {
  return spelled !== declared.join(', ');
}

const alignment = 64;

/**
 * Bytes between the places of a param and of its blocks within a page. A store delays a load that follows it if both have
 * nearly the same place in their pages, so no two arrays of a walk may. This distance keeps up to six apart, and a multiple of
 * 64 lets all of them reach a cache line's beginning together.
 */
const blockDistance = 640;
const pageSize = 4096;

/**
 * Ordinary buffers that `allocate` returned: the runtime allows no external memory, or too much of it waits for the
 * event loop to free it. A step on such memory never leaves JavaScript's thread.
 */
const ordinary = new WeakSet<ArrayBufferLike>();

let isExternalMemoryAllowed: boolean | undefined;

function hasExternalMemory(addon: Addon): boolean {
  isExternalMemoryAllowed ??= addon.allocate(1) !== undefined;
  return isExternalMemoryAllowed;
}

function memoryOf(block: Block): object {
  if (block instanceof Bfloat16Block) return memoryOf(block.memory);
  return block instanceof NativeBlock ? block.handle : block.view();
}

/** The part of a larger buffer that starts at an aligned address. */
function alignedIn(buffer: ArrayBuffer, length: number, addon: Addon): Float32Array {
  const skipped = addon.address(new Float32Array(buffer)) % alignment;
  return new Float32Array(buffer, skipped === 0 ? 0 : alignment - skipped, length);
}

/** Shorter vectors are computed in JavaScript, which is faster than a native call. The bits are the same. */
const shortest = 80;

const isShort = (x: Vector): boolean => x.length < shortest;

/** The addon's vector operations, with the JavaScript ones for short vectors. @internal */
export function nativeLinalg(native: Linalg): Linalg {
  const ofColumns = ([first]: Columns): Linalg => (first === undefined || isShort(first) ? js : native);
  return {
    dot: (x, y) => (isShort(x) ? js.dot(x, y) : native.dot(x, y)),
    axpby: (a, x, b, y, out, z) => (isShort(out) ? js.axpby(a, x, b, y, out, z) : native.axpby(a, x, b, y, out, z)),
    multiply: (factor, x, out) => (isShort(x) ? js.multiply(factor, x, out) : native.multiply(factor, x, out)),
    maxAbs: (x) => (isShort(x) ? js.maxAbs(x) : native.maxAbs(x)),
    maxAbsDifference: (x, y) => (isShort(x) ? js.maxAbsDifference(x, y) : native.maxAbsDifference(x, y)),
    project: (columns, x, out) => ofColumns(columns).project(columns, x, out),
    addCombination: (columns, weights, x) => ofColumns(columns).addCombination(columns, weights, x),
    gemmInPlace: (columns, q) => ofColumns(columns).gemmInPlace(columns, q),
    gram: (columns, out) => ofColumns(columns).gram(columns, out),
  };
}

/**
 * The engine of one instruction set, or undefined if this CPU or this build lacks it.
 * @throws Error for an addon of another version
 */
export function nativeEngine(addon: Addon, isa: Isa): Engine | undefined {
  const native = addon.engine(isa);
  if (native === undefined) return undefined;
  checkFunctions(addon, functionsOfAddon);
  checkFunctions(native, functionsOfEngine);
  const kernels = new Map(native.kernels.map((k) => [k.name, k]));
  const allocate = (length: number): Float32Array => {
    const array = addon.allocate(length);
    if (array !== undefined) return ofThisRealm(array);
    const buffer = new ArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT + alignment);
    ordinary.add(buffer);
    return alignedIn(buffer, length, addon);
  };
  const zeros = (length: number): Float32Array => {
    const array = new Float32Array(length);
    if (length >= largeLength) addon.useLargePages(array);
    return array;
  };
  return {
    name: 'native',
    isa,
    confirm(
      name: string,
      { state, constants, layout, updateRow, accumulated, norms, numbers }: KernelDeclaration,
    ): void {
      const spelled = kernels.get(name);
      if (
        spelled === undefined ||
        differs(spelled.state, state) ||
        differs(spelled.constants, constants) ||
        state.some((name, s) => spelled.layout?.[s] !== layoutOf(layout?.[name])) ||
        spelled.perRow !== ((updateRow ?? accumulated) !== undefined) ||
        spelled.norms !== (norms !== undefined) ||
        differs(spelled.numbers, numbers?.names ?? [])
      ) {
        const found =
          spelled === undefined ? 'is missing' : `holds state (${spelled.state}) and constants (${spelled.constants})`;
        const wanted = `state (${state.join(', ')}) and constants (${constants.join(', ')})`;
        throw new Error(
          `schuss: the addon's kernel "${name}" ${found}, expected ${wanted}: it is of another version, build it again`,
        );
      }
    },
    createPlan(count, { stride, memory, numberCount }): Plan {
      const step = native.createPlan(count, stride, memory, numberCount);
      return {
        setTensor: (index, kernel, _declaration, param, state, ema, columns, side) =>
          native.setTensor(
            step,
            index,
            kernel,
            param,
            state.map(memoryOf),
            ema === null ? null : memoryOf(ema),
            columns,
            side,
            state[0] instanceof Bfloat16Block ? state[0].firstElement : undefined,
          ),
        setGrad: step,
        setRowGrad: (index, rows, values) => native.setRowGrad(step, index, rows, values),
        step,
        stepAsync: (done) => {
          if (native.stepAsync(step, done)) soon(done);
        },
        measureSums: (sums) => native.measureSums(step, sums),
        stepWithSums: (sums) => native.stepWithSums(step, sums),
        free: () => native.freePlan(step),
      };
    },
    linalg: nativeLinalg(native),
    tables: native,
    multiply({ a, b, out, rows, columns, depth, isSymmetric }) {
      const strides = [a.rowStride, a.columnStride, b.rowStride, b.columnStride];
      native.matmul(a.data, b.data, out, Uint32Array.of(...strides, rows, columns, depth, isSymmetric ? 1 : 0));
    },
    eigen: {
      eigenvectors: native.eigenvectors,
      inverseRoot: (matrix, side, { divisor, eps, isQuarter }, out) =>
        native.inverseRoot(matrix, side, divisor, eps, isQuarter ? 1 : 0, out),
      orthonormalize: native.orthonormalize,
    },
    sumSquares: native.sumSquares,
    bfloat16: { compress: native.compress, expand: native.expand },
    lerp: native.lerp,
    add: native.add,
    scale: native.scale,
    threads: addon.threads,
    setThreads: addon.setThreads,
    address: addon.address,
    owns: (array) => addon.owns(array) || ordinary.has(bufferOf(array)),
    allocate,
    createBlock(length, param, place) {
      const offset = (addon.address(param) + blockDistance * (place + 1)) % pageSize;
      const handle = hasExternalMemory(addon) ? addon.createBlock(length, offset) : undefined;
      if (handle !== undefined) return new NativeBlock(addon, zeros, handle, length);
      try {
        return new ArrayBlock(allocate(length));
      } catch {
        const bytes = length * Float32Array.BYTES_PER_ELEMENT;
        throw new RangeError(`schuss: not enough memory for ${bytes} bytes of state`);
      }
    },
    zeros,
  };
}
