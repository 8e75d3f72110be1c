// Trains with the built package in the folder given, saves a checkpoint in another folder and loads it, and prints the
// backend's name and a digest of the bits that came out.
const { createHash } = require('node:crypto');
const { join } = require('node:path');

const [, , root, folder] = process.argv;
const s = require(root);

async function main() {
  const w = s.allocate(40_000).fill(0.5);
  const g = s.allocate(40_000).map((_, i) => Math.fround((i % 97) / 97 - 0.5));
  const grad = s.allocate(40_000);
  grad.set(g);
  const adam = new s.Adam(
    { w: { data: w, shape: [400, 100] } },
    { ema: 0.9, clipNorm: 1, lr: s.cosine(0.1, { steps: 9 }) },
  );
  adam.step({ w: grad });
  await adam.stepAsync({ w: grad });
  adam.step({ w: { rows: Uint32Array.of(3, 7, 3), values: new Float32Array(300).fill(1) } });
  const path = join(folder, 'run.safetensors');
  const params = { w: { data: w, shape: [400, 100] } };
  await s.saveCheckpoint(path, { params, optimizer: adam });
  const copy = { w: { data: new Float32Array(40_000), shape: [400, 100] } };
  const resumed = new s.Adam(copy, { lr: s.cosine(0.1, { steps: 9 }) });
  await s.loadCheckpoint(path, { params: copy, optimizer: resumed });
  adam.step({ w: grad });
  resumed.step({ w: grad });
  const { x } = await s.minimizeAsync((at, out) => {
    out[0] = 2 * (at[0] - 3);
    return (at[0] - 3) ** 2;
  }, Float64Array.of(0));
  const bytes = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const digest = (array) => createHash('sha256').update(bytes(array)).digest('hex');
  if (digest(w) !== digest(copy.w.data)) throw new Error('the resumed run is another');
  adam.dispose();
  console.log(s.backend().name, digest(w), Math.round(x[0] * 1e6) / 1e6);
}

main();
