// Measures α and β of the threads of this machine: two ranks, blocking sums of 16 and of up to 4,000,000 floats. Writes JSON.
//
// npx schuss launch -n 2 bench/distributed-model/measure.mjs file.json
import { writeFileSync } from 'node:fs';
import { init } from '../../dist/distributed/index.mjs';

const world = await init();

/** Seconds of one sum: the least of `count` bursts of `burst` sums, because other work on the machine only adds. */
function seconds(length, burst, count) {
  const x = new Float32Array(length);
  const times = [];
  for (let i = 0; i < count; i++) {
    world.barrierSync();
    const begun = performance.now();
    for (let k = 0; k < burst; k++) world.allReduceSync(x);
    times.push((performance.now() - begun) / burst / 1000);
  }
  return Math.min(...times);
}

seconds(16, 1000, 5); // the compiler warms up
const short = seconds(16, 100, 200);
const [few, many] = [1_000_000, 4_000_000];
const [fewSeconds, manySeconds] = [seconds(few, 2, 30), seconds(many, 1, 30)];
// A short sum has the messages of the agreement and of halving and doubling: 4 log₂ p. In a long one, 2 (p − 1)/p of the
// floats travel. The time for adding them is not told apart.
const alpha = short / (4 * Math.ceil(Math.log2(world.size)));
const beta = (manySeconds - fewSeconds) / (many - few) / (8 * ((world.size - 1) / world.size));
if (world.rank === 0) {
  const round = (value) => Number(value.toPrecision(3));
  writeFileSync(process.argv[2], `${JSON.stringify({ ranks: world.size, alpha: round(alpha), beta: round(beta) })}\n`);
  console.log(`α ${(alpha * 1e6).toFixed(2)} µs, β ${(beta * 1e9).toFixed(3)} ns a byte`);
}
await world.close();
