// How long a save takes against writing the same bytes and hashing them, and how long it blocks the event loop.
// It runs dist/: node test/checkpoint/speed.cjs [GB] [ROUNDS] [FOLDER]
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const schuss = require('../..');

const [gigabytes, rounds] = [Number(process.argv[2] ?? 1), Number(process.argv[3] ?? 5)];
const folder = fs.mkdtempSync(join(process.argv[4] ?? tmpdir(), 'schuss-speed-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

/** The longest time between two timers of 1 ms while `action` runs, in ms. */
async function watched(action) {
  let [last, longest, isDone] = [performance.now(), 0, false];
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isDone) setTimeout(tick, 1);
  };
  setTimeout(tick, 1);
  const start = performance.now();
  const promise = action();
  const copied = performance.now() - start;
  last = performance.now(); // the copy is counted by itself
  await promise;
  isDone = true;
  return { copied, longest, total: performance.now() - start };
}

/** What must be done at least: every byte hashed, written, synced. */
function baseline(arrays, path) {
  const start = performance.now();
  const hash = createHash('sha256');
  const file = fs.openSync(path, 'w');
  const chunk = 1 << 20;
  for (const array of arrays) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let at = 0; at < bytes.length; at += chunk) {
      const part = bytes.subarray(at, at + chunk);
      hash.update(part);
      fs.writeSync(file, part);
    }
  }
  hash.digest();
  fs.fsyncSync(file);
  fs.closeSync(file);
  return performance.now() - start;
}

/** Removes a file now: the next sync would pay for freeing its blocks. */
function remove(path) {
  fs.rmSync(path);
  const file = fs.openSync(`${path}.sync`, 'w');
  fs.fsyncSync(file);
  fs.closeSync(file);
}

async function main() {
  const count = 12;
  const length = Math.round((gigabytes * 2 ** 30) / 4 / 3 / count); // Adam: params and two states
  const names = Array.from({ length: count }, (_, i) => `layer.${i}`);
  const params = Object.fromEntries(names.map((name, i) => [name, new Float32Array(length).fill(i + 0.5)]));
  const grads = Object.fromEntries(names.map((name, i) => [name, new Float32Array(length).fill(i - 3)]));
  const optimizer = new schuss.Adam(params);
  optimizer.step(grads);
  const arrays = [...Object.values(params), ...Object.values(params), ...Object.values(params)];
  const results = { baseline: [], total: [], copied: [], longest: [], load: [] };
  for (let round = -1; round < rounds; round++) {
    const base = baseline(arrays, join(folder, 'baseline'));
    remove(join(folder, 'baseline'));
    const path = join(folder, 'checkpoint.safetensors');
    const { copied, longest, total } = await watched(() => schuss.saveCheckpoint(path, { params, optimizer }));
    const start = performance.now();
    await schuss.loadCheckpoint(path, { params, optimizer });
    const load = performance.now() - start;
    remove(path);
    console.log(
      `  baseline ${seconds(base)}, save ${seconds(total)} (${(total / base).toFixed(2)}), copy ${seconds(copied)}, longest other block ${longest.toFixed(1)} ms, load ${seconds(load)}`,
    );
    if (round < 0) continue; // memory that is touched for the first time
    for (const [name, value] of Object.entries({ baseline: base, total, copied, longest, load }))
      results[name].push(value);
  }
  const ratio = median(results.total.map((total, i) => total / results.baseline[i]));
  console.log(
    `${gigabytes} GB, median of ${rounds}: writing and hashing ${seconds(median(results.baseline))}, save ${seconds(median(results.total))}, ` +
      `ratio ${ratio.toFixed(2)}; copy ${seconds(median(results.copied))}, longest other block ${median(results.longest).toFixed(1)} ms, load ${seconds(median(results.load))}`,
  );
}

main();
