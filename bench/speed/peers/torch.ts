import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Method } from '../task.js';
import type { Peer } from './peer.js';
import { torchScript } from './torch-script.js';

const interpreters = ['python3', '/usr/bin/python3'];

// By default, glibc returns the memory of large temporaries to the system after each step and requests it again. On machines
// with slow page faults that takes far longer than the step. These settings keep the memory.
const keepMemory = { MALLOC_MMAP_THRESHOLD_: '4294967296', MALLOC_TRIM_THRESHOLD_: '17179869184' };

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** A Python process that holds tensors and steps them on request. */
class Python {
  readonly #process: ChildProcess;
  readonly #waiting: Waiting[] = [];
  #ended: Error | undefined;
  /** PyTorch's version, the first line of output. */
  readonly version: Promise<string>;

  constructor(interpreter: string) {
    this.version = new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as Waiting['resolve'], reject });
    });
    this.#process = spawn(interpreter, ['-c', torchScript], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...keepMemory },
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

  close(): void {
    (this.#process.stdin as NodeJS.WritableStream).end();
  }
}

/** A Python with PyTorch. @throws Error if there is none */
async function open(): Promise<Python> {
  for (const interpreter of interpreters) {
    const python = new Python(interpreter);
    try {
      await python.version;
      return python;
    } catch {}
  }
  throw new Error('no Python here can `import torch`, which `pip install torch` installs');
}

/** One process for all three peers, started by the first. */
let shared: Promise<Python> | undefined;

let ids = 0;

function torch(id: string, label: string, options: object): Peer {
  return {
    id,
    label,
    methods: ['adam', 'sgd', 'momentum', 'adagrad', 'rmsprop'] satisfies Method[],
    manyTensors: true,
    async load() {
      shared ??= open();
      return (await shared).version;
    },
    async start({ method, n, tensors }) {
      const python = await (shared as Promise<Python>);
      const task = ids++;
      await python.call('start', task, method, n, tensors, options);
      return {
        run: (steps) => python.call('run', task, steps),
        sample: (stride) => python.call('sample', task, stride),
        dispose: () => python.call('drop', task),
      };
    },
    async close() {
      const python = shared;
      shared = undefined;
      (await python)?.close();
    },
  };
}

export const torchPeers = [
  torch('torch', 'PyTorch', {}),
  torch('torch-foreach', 'PyTorch foreach', { foreach: true }),
  torch('torch-fused', 'PyTorch fused', { fused: true }),
];
