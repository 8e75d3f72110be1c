// Counts the instructions of small pieces of work under valgrind and compares them with the recorded ones: a guard of
// speed without a clock.
//   node scripts/instructions.mjs PROGRAM [--record]
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [program, option] = process.argv.slice(2);
const file = new URL('../native/test/instructions/recorded.json', import.meta.url);
const recorded = JSON.parse(readFileSync(file, 'utf8'));

function run(command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  return stdout + stderr;
}

/** Instructions of the whole program. */
function instructionsOf(name, times) {
  const report = run('valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', program, name, String(times));
  return Number(/Collected : (\d+)/.exec(report)[1]);
}

/** Instructions of one repetition. The start of the program cancels out. */
function count(name) {
  return (instructionsOf(name, 300) - instructionsOf(name, 100)) / 200;
}

if (process.arch !== 'x64' || spawnSync('valgrind', ['--version']).status !== 0) {
  console.log('SKIPPED: no valgrind, or no x64 CPU');
  process.exit();
}
const compiler = run(program).trim();
const isSame = compiler === recorded.compiler;
// Other compilers emit other code, so only gross losses show there.
const margin = isSame ? 0.02 : 0.5;
const counts = Object.fromEntries(Object.keys(recorded.instructions).map((name) => [name, Math.round(count(name))]));
if (option === '--record') {
  writeFileSync(file, `${JSON.stringify({ compiler, instructions: counts }, null, 2)}\n`);
  process.exit();
}
for (const [name, found] of Object.entries(counts)) {
  const before = recorded.instructions[name];
  const verdict = found > before * (1 + margin) ? 'TOO MANY' : found < before * (1 - margin) ? 'fewer: record' : 'ok';
  console.log(`${name}: ${found}, recorded ${before} (${recorded.compiler}): ${verdict}`);
  if (verdict === 'TOO MANY') process.exitCode = 1;
}
if (process.exitCode === 1)
  console.error('If the new instructions pay, run it again with --record, and say in the commit what they pay for.');
