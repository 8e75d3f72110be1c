// What the ranks of child.mjs and the program that checks them have in common.
export const microBatches = 4;
export const options = { lr: 1e-2, clipNorm: 1 };

export const newParams = (length) => ({
  w: Float32Array.from({ length }, (_, i) => Math.sin(i)),
  b: Float32Array.of(1, -1, 0.5),
});

/** The gradient of a micro-batch of a step. */
export const gradsOf = ({ w, b }, step, part) => ({
  w: w.map((x, i) => x + ((i + step + 7 * part) % 13) / 3),
  b: b.map((x) => x * (part + 1) - (step % 5)),
});
