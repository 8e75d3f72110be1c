// Scenarios that would crash the process if a step on another thread ever used freed memory. fuzz.slow.test.ts runs
// them in separate processes. The last scenario says 'alive'.
import { join } from 'node:path';
import { MessageChannel, markAsUntransferable, Worker } from 'node:worker_threads';
import { Adam, allocate, SGD, setThreads } from '../../lib/index.js';
import type { Any } from '../support/rig.js';

const collect = (globalThis as Any).gc as () => void;
const { WebAssembly } = globalThis as Any;

/** Large enough that a step still runs when it is attacked: its first one also gets the memory from the system. */
const size = Number(process.env['FUZZ_SIZE'] ?? 1_000_000);

const tick = () => new Promise((resolve) => setImmediate(resolve));
/** Several rounds of garbage collection, and new memory in the place of the old. */
async function churn(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    collect();
    new Float32Array(size).fill(Number.NaN);
    await tick();
  }
}

type Make = (length: number) => Float32Array;
const shared: Make = (length) => new Float32Array(new SharedArrayBuffer(4 * length));
const heap: Make = (length) =>
  new Float32Array(new WebAssembly.Memory({ initial: Math.ceil((4 * length) / 65536) }).buffer, 0, length);
const makes: readonly Make[] = [allocate, shared, heap];

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

const messageOf = (promise: Promise<unknown>) =>
  promise.then(
    () => '',
    (error: Error) => error.message,
  );

async function dropped(): Promise<void> {
  for (const make of makes) {
    const begin = () => {
      const adam = new Adam(make(size), { ema: 0.5, clipNorm: 1 });
      const rows = new Int32Array(new SharedArrayBuffer(400)).fill(3);
      return [adam.stepAsync(make(size)), adam.stepAsync({ rows, values: make(rows.length * 10) })];
    };
    const pending = begin();
    await churn();
    await Promise.all(pending);
  }
}

async function grown(): Promise<void> {
  const begin = () => {
    const memory = new WebAssembly.Memory({ initial: Math.ceil((8 * size) / 65536) });
    const adam = new Adam(new Float32Array(memory.buffer, 0, size));
    const grad = new Float32Array(memory.buffer, 4 * size, size);
    const pending = [adam.stepAsync(grad), messageOf(adam.stepAsync(grad))] as const;
    for (let i = 0; i < 20; i++) memory.grow(1);
    return pending;
  };
  // Nobody but the step holds the memory, and its arrays are detached.
  const [ran, waited] = begin();
  await churn();
  await ran;
  expect((await waited).includes('a detached Float32Array'), 'the second is refused');
}

/** All ways to take a buffer away; a mark of ours or of Node's does not stop all of them. */
async function takeAway(buffer: Any): Promise<void> {
  const ways = [
    () => structuredClone(buffer, { transfer: [buffer] }),
    () => new MessageChannel().port1.postMessage(buffer, [buffer]),
    () => buffer.transfer(),
    () => buffer.transfer(0),
    () => buffer.resize(0),
    async () => {
      let controller: Any;
      const stream: Any = new (globalThis as Any).ReadableStream({
        type: 'bytes',
        start: (c: Any) => (controller = c),
      });
      controller.enqueue(new Uint8Array(buffer));
      const { value } = await stream.getReader().read();
      structuredClone(undefined, { transfer: [value.buffer] });
    },
  ];
  for (const way of ways) {
    try {
      await way();
    } catch {
      // Not here, or not any more.
    }
  }
}

async function transferred(): Promise<void> {
  for (const make of [allocate, shared]) {
    const [w, g] = [make(size), make(size)];
    const adam = new Adam(w, { ema: 0.9 });
    const [ran, waited] = [adam.stepAsync(g), messageOf(adam.stepAsync(g))];
    for (const { buffer } of [w, g, adam.emaParams as Float32Array]) await takeAway(buffer);
    await churn();
    await ran;
    await waited;
    await messageOf(Promise.resolve().then(() => adam.step(g)));
  }
}

/** Memory that may be moved, in all disguises: refused, or it stays. */
async function movable(): Promise<void> {
  const held = shared(size);
  for (const isParam of [true, false]) {
    const plain = new ArrayBuffer(Math.ceil((4 * size) / 65536) * 65536); // as large as memory of WebAssembly can be
    markAsUntransferable(plain);
    const marked = new Float32Array(plain, 0, size);
    const pending = messageOf(new Adam(isParam ? marked : held).stepAsync(isParam ? held : marked));
    await takeAway(plain);
    await churn();
    expect((await pending).includes('allocate(length)'), 'a marked buffer is refused');
  }
  // Empty at the call, full when the step begins, gone while it runs.
  const [rows, values] = [1e6, 4 * size].map((maxByteLength) => new (ArrayBuffer as Any)(0, { maxByteLength }));
  const adam = new Adam(held);
  const before = adam.stepAsync(shared(size));
  const pending = messageOf(adam.stepAsync({ rows: new Int32Array(rows), values: new Float32Array(values) }));
  rows.resize(1e6);
  values.resize(4 * size);
  const view = new Int32Array(rows);
  for (let i = 0; i < view.length; i++) view[i] = i;
  await before;
  rows.resize(0);
  values.resize(0);
  expect((await pending).includes('allocate(length)'), 'a growing buffer is refused');
}

/** Another thread writes nonsense over row numbers all the time: no step may leave the memory of its param. */
async function overwritten(): Promise<void> {
  const [count, columns, table] = [2000, 8, 50_000];
  const rows = new Int32Array(new SharedArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) rows[i] = i;
  const margin = 4096;
  const around = shared(table * columns + 2 * margin).fill(7);
  const w = around.subarray(margin, margin + table * columns).fill(0);
  const control = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    const { rows, control, table } = require('node:worker_threads').workerData;
    let x = 1;
    while (Atomics.load(control, 0) === 0) {
      x = Math.imul(x, 1664525) + 1013904223 | 0;
      const i = (x >>> 3) % rows.length;
      rows[i] = [x, table, -1, 0x7fffffff, (x >>> 2) % table][(x >>> 5) % 5];
      for (let k = 0; k < 200; k++) x ^= k;
      rows[i] = i;
      for (let k = 0; k < 1000; k++) x ^= k;
    }`;
  const worker = new Worker(source, { eval: true, workerData: { rows, control, table } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve) => worker.once('online', resolve));
  const adam = new Adam(w, { zeroGrads: true, clipNorm: 1, ema: 0.9 });
  const values = shared(count * columns).fill(1);
  for (let i = 0; i < 200; i++) {
    // What is right at the call may be wrong when the second begins.
    const messages = await Promise.all([1, 2].map(() => messageOf(adam.stepAsync({ rows, values }))));
    for (const message of messages) expect(message === '' || message.includes('grads.rows['), message);
  }
  Atomics.store(control, 0, 1);
  await ended;
  const outside = [around.subarray(0, margin), around.subarray(margin + table * columns)];
  expect(
    outside.every((part) => part.every((x) => x === 7)),
    'nothing outside of the param has changed',
  );
}

const dist = JSON.stringify(join(__dirname, '..', '..', 'dist', 'index.js'));
const worker = (code: string, kind: number) =>
  new Worker(
    `const { Adam, allocate, setThreads } = require(${dist});
    const { parentPort, workerData: { size, kind } } = require('node:worker_threads');
    const make = [
      allocate,
      (n) => new Float32Array(new SharedArrayBuffer(4 * n)),
      (n) => new Float32Array(new WebAssembly.Memory({ initial: Math.ceil(4 * n / 65536) }).buffer, 0, n),
    ][kind];
    const [w, g] = [make(size), make(size)];
    const adam = new Adam(w, { ema: 0.9 });
    ${code}`,
    { eval: true, workerData: { size: size / 2, kind } },
  );

const rounds = Number(process.env['FUZZ_WORKERS'] ?? 16);

/** Workers that end in mid-step. */
async function ended(): Promise<void> {
  const code = 'for (let i = 0; i < 5; i++) adam.stepAsync(g); parentPort.postMessage(0);';
  const last = (w: Worker) => new Promise((resolve) => w.once('exit', resolve));
  const end = async (i: number) => {
    if (i % 10 === 9) return await last(worker('adam.stepAsync(g); setTimeout(() => process.exit(0), 1);', i % 3));
    const one = worker(code, i % 3);
    await new Promise((resolve, reject) => one.once('message', resolve).once('error', reject));
    await new Promise((resolve) => setTimeout(resolve, i % 4));
    return await one.terminate();
  };
  for (let i = 0; i < rounds; i += 8) await Promise.all(Array.from({ length: 8 }, (_, k) => end(i + k)));
}

/** Many at once, on changing numbers of threads, beside steps on this one. */
async function crowd(): Promise<void> {
  const code = '(async () => { for (;;) { await adam.stepAsync(g); setThreads(1 + (adam.stepCount % 3)); } })()';
  const workers = [0, 1].map((kind) => worker(code, kind));
  const optimizers = Array.from({ length: 6 }, () => new Adam(allocate(300_000), { clipNorm: 1 }));
  const grads = optimizers.map(() => allocate(300_000).fill(1));
  const here = new SGD(new Float32Array(300_000), { lr: 0.1 });
  for (let round = 0; round < 8; round++) {
    const pending = optimizers.map((optimizer, i) => optimizer.stepAsync(grads[i] as Float32Array));
    for (let i = 0; i < 10; i++) {
      setThreads(1 + ((i + round) % 5));
      here.step(grads[i % 6] as Float32Array);
      await tick();
    }
    await Promise.all(pending);
  }
  setThreads(1);
  expect(
    optimizers.every(({ stepCount }) => stepCount === 8),
    'all steps are done',
  );
  await Promise.all(workers.map((w) => w.terminate()));

  const tiny = new Adam(allocate(3));
  const all = Array.from({ length: 3000 }, () => tiny.stepAsync(allocate(3)));
  collect();
  await Promise.all(all);
  expect(tiny.stepCount === 3000, 'all tiny steps are done');
}

/** The process ends in mid-step, here and in workers. */
async function exit(): Promise<void> {
  const workers = [0, 1].map((kind) => worker('adam.stepAsync(g); parentPort.postMessage(0);', kind));
  await Promise.all(workers.map((w) => new Promise((resolve) => w.once('message', resolve))));
  for (const make of makes) new Adam(make(size)).stepAsync(make(size));
  process.on('exit', () => console.log('alive'));
  process.exit(0);
}

/** It ends when nothing is left to do, and not before. */
async function last(): Promise<void> {
  void new Adam(allocate(size)).stepAsync(allocate(size)).then(() => console.log('alive'));
}

const scenarios = [dropped, grown, transferred, movable, overwritten, crowd, ended, exit, last];

/** Runs those that the arguments name. */
async function main(): Promise<void> {
  for (const name of process.argv.slice(2)) {
    const begin = performance.now();
    await scenarios.find((scenario) => scenario.name === name)!();
    console.log(name, Math.round(performance.now() - begin));
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
