import { fusedMethods, type Method, methods, type Task } from '../task.js';
import type { Peer, Runner } from './peer.js';
import { boundPython, closePython, freePython, type Python } from './python.js';

let ids = 0;

async function startIn(
  python: Python,
  method: string,
  { n, tensors, threads }: Task,
  options: object,
): Promise<Runner> {
  const task = ids++;
  await python.call('start', task, method, n, tensors, threads, options);
  return {
    pid: python.pid,
    run: (steps) => python.call('run', task, steps),
    sample: (stride) => python.call('sample', task, stride),
    dispose: () => python.call('drop', task),
  };
}

function inPython(
  start: (python: Python, task: Task) => Promise<Runner>,
): Pick<Peer, 'start' | 'startBound' | 'close'> {
  return {
    async start(task) {
      return start(await freePython(), task);
    },
    async startBound(task) {
      return start(await boundPython(), task);
    },
    close: closePython,
  };
}

function torch(id: string, label: string, options: object, able: readonly Method[]): Peer {
  return {
    id,
    label,
    methods: able,
    manyTensors: true,
    async load() {
      return (await freePython()).version;
    },
    ...inPython((python, task) => startIn(python, task.method, task, options)),
  };
}

const all = Object.keys(methods) as Method[];

export const torchPeers: readonly Peer[] = [
  torch('torch', 'PyTorch', { foreach: false }, all),
  torch('torch-foreach', 'PyTorch foreach', { foreach: true }, all),
  torch('torch-fused', 'PyTorch fused', { fused: true }, fusedMethods),
];

/** It compiles its kernel when it is first used. */
export const deepspeed: Peer = {
  id: 'deepspeed',
  label: 'DeepSpeed CPUAdam',
  methods: ['adam', 'adamw'],
  manyTensors: true,
  async load() {
    const python = await freePython();
    try {
      return await python.call<string>('version', 'deepspeed');
    } catch {
      throw new Error('needs `pip install deepspeed ninja` in the Python that TORCH_PYTHON names, and a C++ compiler');
    }
  },
  ...inPython((python, task) =>
    startIn(
      python,
      'deepspeed',
      task,
      task.method === 'adamw' ? { adamw_mode: true, weight_decay: 0.01 } : { adamw_mode: false },
    ),
  ),
};
