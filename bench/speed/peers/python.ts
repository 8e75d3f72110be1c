import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { torchScript } from './torch-script.js';

const named = process.env['TORCH_PYTHON'];
const interpreters = named === undefined ? ['python3', '/usr/bin/python3'] : [named];

// By default, glibc returns the memory of large temporaries to the system after each step and requests it again. On machines
// with slow page faults that takes far longer than the step. These settings keep the memory.
const keepMemory = { MALLOC_MMAP_THRESHOLD_: '4294967296', MALLOC_TRIM_THRESHOLD_: '17179869184' };
// OpenMP may put two threads on one core, where they wait for each other: a step then takes milliseconds, whatever its size.
const bound = { OMP_PROC_BIND: 'true', OMP_PLACES: 'cores' };
const isa = process.env['SCHUSS_ISA'];
/** PyTorch is held to the instruction set that schuss is held to. */
const sameIsa = isa === undefined ? {} : { ATEN_CPU_CAPABILITY: ['avx2', 'avx512'].includes(isa) ? isa : 'default' };

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A Python process that holds tensors and steps them on request. */
export class Python {
  readonly #process: ChildProcess;
  readonly #waiting: Waiting[] = [];
  #ended: Error | undefined;
  /** PyTorch's version, the first line of output. */
  readonly version: Promise<string>;

  constructor(interpreter: string, env: NodeJS.ProcessEnv) {
    this.version = new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as Waiting['resolve'], reject });
    });
    this.#process = spawn(interpreter, ['-c', torchScript], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...keepMemory, ...sameIsa, ...env },
    });
    createInterface({ input: this.#process.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { result, error } = JSON.parse(line) as { result?: unknown; error?: string };
      const waiting = this.#waiting.shift();
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(error));
    });
    const end = (error: Error): void => {
      this.#ended ??= error;
      for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
    };
    this.#process.on('error', end);
    this.#process.on('close', () => end(new Error('the Python process has exited')));
    (this.#process.stdin as NodeJS.WritableStream).on('error', end);
  }

  call<T>(call: string, ...args: readonly unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(this.#ended);
      this.#waiting.push({ resolve: resolve as Waiting['resolve'], reject });
      (this.#process.stdin as NodeJS.WritableStream).write(`${JSON.stringify({ call, args })}\n`);
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  close(): void {
    (this.#process.stdin as NodeJS.WritableStream).end();
  }
}

/** A Python with PyTorch. @throws Error if there is none */
async function open(env: NodeJS.ProcessEnv): Promise<Python> {
  for (const interpreter of interpreters) {
    const python = new Python(interpreter, env);
    try {
      await python.version;
      return python;
    } catch {}
  }
  if (named !== undefined) throw new Error(`TORCH_PYTHON=${named} cannot \`import torch\``);
  throw new Error('no Python here can `import torch`: `pip install torch`, or name one with TORCH_PYTHON');
}

/** One process for all peers, started by the first, and one with bound threads. */
const processes: { free?: Promise<Python>; bound?: Promise<Python> } = {};

/** @throws Error if no Python here has PyTorch */
export function freePython(): Promise<Python> {
  processes.free ??= open({});
  return processes.free;
}

/** The one whose threads are bound to cores. @throws Error if no Python here has PyTorch */
export function boundPython(): Promise<Python> {
  processes.bound ??= open(bound);
  return processes.bound;
}

export async function closePython(): Promise<void> {
  for (const way of ['free', 'bound'] as const) {
    const python = processes[way];
    delete processes[way];
    await python?.then(
      (open) => open.close(),
      () => {},
    );
  }
}
