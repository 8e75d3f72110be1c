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
 * Where a TensorFlow.js backend keeps a tensor's numbers, and what writing there asks for.
 * A step calls `prepare` for all its tensors, then `view` and `read`, then `written`: views hold until the backend allocates.
 */
export interface Memory {
  /** Does all that may allocate; afterwards no other tensor and no array of the user shares the variable's memory. */
  prepare(variable: Variable, gradient: Tensor): void;
  /** The variable's numbers, to be changed in place: `previous` itself where that is still the array. */
  view(variable: Variable, previous?: Float32Array): Float32Array;
  /** A gradient's numbers, not to be written: other gradients may share them. They share no variable's memory. */
  read(gradient: Tensor): Float32Array;
  /** Makes what was written to `array` the variable's value. */
  written(variable: Variable, array: Float32Array): void;
}

function assign(variable: Variable, values: Float32Array): void {
  tidy(() => variable.assign(tensor(values, variable.shape)));
}

/**
 * The memory that we made for variables on the cpu backend, with the data id that it was made for: what a variable was made
 * from may be the user's.
 */
const owners = new WeakMap<ArrayBufferLike, DataId>();

/** What others get of memory that steps change: in TensorFlow.js what was read, or made from a variable, never changes. */
function given<T>(values: T): T {
  return values instanceof Float32Array && owners.has(values.buffer) ? (values.slice() as T) : values;
}

/** What is used of the cpu backend: all arrays that it gives out or makes tensors of pass here. */
interface CpuBackend extends KernelBackend {
  write: (values: BackendValues, shape: number[], dtype: DataType) => DataId;
}

/** The cpu backends that are watched, and how to read past that. */
const reads = new WeakMap<KernelBackend, KernelBackend['readSync']>();

/** The array that the backend keeps for a tensor. */
function valuesOf(tensor: Tensor): Float32Array {
  const cpu = backend() as CpuBackend;
  let read = reads.get(cpu);
  if (read === undefined) {
    const all = cpu.readSync.bind(cpu);
    const write = cpu.write.bind(cpu);
    cpu.readSync = (dataId) => given(all(dataId));
    // Kernels make tensors that share an array (complex), or a part of it (slice).
    cpu.write = (values, shape, dtype) => write(given(values), shape, dtype);
    reads.set(cpu, all);
    read = all;
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
  read: (gradient) => given(valuesOf(gradient)),
  written() {},
};

/** What is used of the wasm backend, all of it public there in JavaScript. */
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

/** `previous` if it is this memory, so that whoever knows an array by identity need not look again. */
function heapView({ dataId, size }: Tensor, previous?: Float32Array): Float32Array {
  const { dataIdMap, wasm } = backend() as unknown as WasmBackend;
  const { buffer } = wasm.HEAPU8;
  const { memoryOffset } = dataIdMap.get(dataId);
  const same = previous?.buffer === buffer && previous.byteOffset === memoryOffset && previous.length === size;
  return same ? previous : new Float32Array(buffer, memoryOffset, size);
}

const wasm: Memory = {
  prepare(variable, gradient) {
    // `get` fetches what lives on another backend.
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
    // XNNPACK keeps a packed copy of weights, by tensor id, until the tensor is disposed. Neither call touches the memory itself.
    const { dataIdMap, wasm } = backend() as unknown as WasmBackend;
    const { id, memoryOffset } = dataIdMap.get(variable.dataId);
    wasm.tfjs.disposeData(id);
    wasm.tfjs.registerTensor(id, variable.size, memoryOffset);
  },
};

const copies = new WeakSet<Float32Array>();

let isSaid = false;

/** Once a process: it is no error, and it is slower. */
function sayOnce(): void {
  if (isSaid) return;
  isSaid = true;
  console.warn(
    `schuss/tfjs: the memory of the backend "${getBackend()}" is out of reach: each step reads the variables and assigns them. Backends cpu and wasm are updated in place.`,
  );
}

/** For backends whose memory is out of reach (webgl, tfjs-node): read, step, assign. */
const elsewhere: Memory = {
  prepare: sayOnce,
  view(variable, previous) {
    // Read anew each time: the user may have assigned the variable. A copy: the backend may keep what it hands out.
    const values = variable.dataSync<'float32'>();
    const copy = previous !== undefined && copies.has(previous) ? previous : new Float32Array(values.length);
    copies.add(copy);
    copy.set(values);
    return copy;
  },
  read: (gradient) => gradient.dataSync<'float32'>(),
  // A copy again: some backends upload the array of a new tensor only when it is first used.
  written: (variable, array) => assign(variable, array.slice()),
};

/** The memory of the backend that TensorFlow.js uses now. */
export function currentMemory(): Memory {
  switch (getBackend()) {
    case 'cpu':
      return cpu;
    case 'wasm':
      return wasm;
    default:
      return elsewhere;
  }
}
