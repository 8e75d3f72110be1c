import {
  type BackendValues,
  backend,
  type DataId,
  type DataType,
  getBackend,
  type KernelBackend,
  type Tensor,
  tensor,
  tidy,
  Variable,
} from '@tensorflow/tfjs-core';

/**
 * Access to the memory in which a TensorFlow.js backend keeps tensors. A step calls `prepare` for all its tensors, then
 * `view` and `read`, then `written`. Views are valid until the backend allocates.
 */
export interface Memory {
  /**
   * Does everything that may allocate. Afterwards no other tensor and no array of the user shares the variable's
   * memory.
   */
  prepare(variable: Variable, gradient: Tensor): void;
  /** The variable's values, to be changed in place. Returns `previous` itself if it is still the right array. */
  view(variable: Variable, previous?: Float32Array): Float32Array;
  /** A gradient's values, read-only because other gradients may share them. They never share a variable's memory. */
  read(gradient: Tensor): Float32Array;
  /** Makes the contents of `array` the variable's value. */
  written(variable: Variable, array: Float32Array): void;
}

function assign(variable: Variable, values: Float32Array): void {
  tidy(() => variable.assign(tensor(values, variable.shape)));
}

/**
 * The buffers that we allocated for variables on the cpu backend, with the data id of each variable. The array that a
 * variable was made from may belong to the user, so steps must not write to it.
 */
const owners = new WeakMap<ArrayBufferLike, DataId>();

/**
 * Copies memory that steps change. In TensorFlow.js, values read from a variable and tensors made from it never change.
 */
function copyIfOwned<T>(values: T): T {
  return values instanceof Float32Array && owners.has(values.buffer) ? (values.slice() as T) : values;
}

/**
 * The part of the cpu backend used here. Every array that it returns, or makes a tensor of, goes through these methods.
 */
interface CpuBackend extends KernelBackend {
  write: (values: BackendValues, shape: number[], dtype: DataType) => DataId;
}

/** The cpu backends whose methods are replaced, with the original `readSync` of each. */
const originalReads = new WeakMap<KernelBackend, KernelBackend['readSync']>();

/** The array that the cpu backend keeps for a tensor, not a copy. */
function valuesOf(tensor: Tensor): Float32Array {
  const cpu = backend() as CpuBackend;
  let read = originalReads.get(cpu);
  if (read === undefined) {
    const original = cpu.readSync.bind(cpu);
    const write = cpu.write.bind(cpu);
    cpu.readSync = (dataId) => copyIfOwned(original(dataId));
    // Some kernels make tensors that share an array (complex) or a part of one (slice).
    cpu.write = (values, shape, dtype) => write(copyIfOwned(values), shape, dtype);
    originalReads.set(cpu, original);
    read = original;
  }
  return read(tensor.dataId) as Float32Array;
}

const cpu: Memory = {
  prepare(variable) {
    const values = valuesOf(variable);
    if (owners.get(values.buffer) === variable.dataId && backend().refCount(variable.dataId) === 1) return;
    const own = new Float32Array(values);
    assign(variable, own);
    owners.set(own.buffer, variable.dataId);
  },
  view: valuesOf,
  read: (gradient) => copyIfOwned(valuesOf(gradient)),
  written() {},
};

/** The part of the wasm backend used here. All of it is public in JavaScript. */
interface WasmBackend {
  readonly dataIdMap: { get(dataId: DataId): { readonly id: number; readonly memoryOffset: number } };
  readonly wasm: {
    readonly HEAPU8: Uint8Array;
    readonly tfjs: {
      registerTensor(id: number, size: number, memoryOffset: number): void;
      disposeData(id: number): void;
    };
  };
}

/**
 * A view of the WebAssembly heap. Returns `previous` if it is the same memory, so that the param need not be rebound.
 */
function heapView({ dataId, size }: Tensor, previous?: Float32Array): Float32Array {
  const { dataIdMap, wasm } = backend() as unknown as WasmBackend;
  const { buffer } = wasm.HEAPU8;
  const { memoryOffset } = dataIdMap.get(dataId);
  const same = previous?.buffer === buffer && previous.byteOffset === memoryOffset && previous.length === size;
  return same ? previous : new Float32Array(buffer, memoryOffset, size);
}

const wasm: Memory = {
  prepare(variable, gradient) {
    // `get` moves data here from another backend.
    const { dataIdMap } = backend() as unknown as WasmBackend;
    dataIdMap.get(variable.dataId);
    dataIdMap.get(gradient.dataId);
    if (backend().refCount(variable.dataId) > 1) assign(variable, variable.dataSync<'float32'>());
  },
  view: heapView,
  read(gradient) {
    const view = heapView(gradient);
    return gradient instanceof Variable ? view.slice() : view;
  },
  written(variable) {
    // XNNPACK caches a packed copy of weights by tensor id, until the tensor is disposed. Registering the tensor again
    // drops that copy. Neither call touches the memory itself.
    const { dataIdMap, wasm } = backend() as unknown as WasmBackend;
    const { id, memoryOffset } = dataIdMap.get(variable.dataId);
    wasm.tfjs.disposeData(id);
    wasm.tfjs.registerTensor(id, variable.size, memoryOffset);
  },
};

const copies = new WeakSet<Float32Array>();

let hasWarned = false;

/** Warns once per process that steps are slower on this backend. */
function warnOnce(): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn(
    `schuss/tfjs: the memory of the backend "${getBackend()}" is out of reach: each step reads the variables and assigns them. Backends cpu and wasm are updated in place.`,
  );
}

/** For backends whose memory JavaScript cannot reach (webgl, tfjs-node): reads, and assigns after the step. */
const readAndAssign: Memory = {
  prepare: warnOnce,
  view(variable, previous) {
    // Reads in every step, because the user may have assigned the variable. Copies, because the backend may keep the
    // array.
    const values = variable.dataSync<'float32'>();
    const copy = previous !== undefined && copies.has(previous) ? previous : new Float32Array(values.length);
    copies.add(copy);
    copy.set(values);
    return copy;
  },
  read: (gradient) => gradient.dataSync<'float32'>(),
  // Copies, because some backends upload the array of a new tensor only at first use.
  written: (variable, array) => assign(variable, array.slice()),
};

/** The memory of the current backend of TensorFlow.js. */
export function currentMemory(): Memory {
  switch (getBackend()) {
    case 'cpu':
      return cpu;
    case 'wasm':
      return wasm;
    default:
      return readAndAssign;
  }
}
