// Steps every class of the package in the folder given, and prints the backend's name and a digest of the bits that came out.
const { createHash } = require('node:crypto');
const { allocate, backend, optimizers } = require(process.argv[2]);

const digest = createHash('sha256');
for (const Class of Object.values(optimizers)) {
  const w = allocate(1037).map((_, i) => ((i * 7919) % 1000) / 500 - 1);
  const g = w.map((x) => x * x - 0.3);
  const small = 'maxPreconditionerDim' in Class.defaults ? { maxPreconditionerDim: 64 } : {}; // else minutes, where it is emulated
  const optimizer = new Class([w], { lr: 0.1, ...small });
  for (let step = 0; step < 3; step++) optimizer.step([g], Class.needsLoss ? { loss: 1 } : {});
  digest.update(new Uint8Array(w.buffer, w.byteOffset, w.byteLength));
}
console.log(`${backend().name} ${digest.digest('hex')}`);
