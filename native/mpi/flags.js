// Prints flags of MPI's compiler wrapper, one a line: `node flags.js compile` or `node flags.js link`. The wrapper is that of MPICC, or
// mpicc. `mpicc -show`, which Open MPI and MPICH both know, prints the command that it would run.
const { execFileSync } = require('node:child_process');

/** Of what the wrapper adds, only what finds MPI: optimization and hardening are those of the addon. */
const wanted = { compile: /^-[ID]/, link: /^-(L|l|Wl,-rpath)/ };

const [wrapper, ...args] = (process.env.MPICC || 'mpicc').trim().split(/\s+/);
const command = execFileSync(wrapper, [...args, '-show'], { encoding: 'utf8' });
const words = command.trim().split(/\s+/);
// `-Wl,-rpath -Wl,folder` is one flag in two words.
const flags = words.flatMap((word, i) => {
  if (word === '-Wl,-rpath' && words[i + 1]) return [`${word},${words[i + 1].replace(/^-Wl,/, '')}`];
  return wanted[process.argv[2]].test(word) && !word.startsWith('-Wl,-rpath-link') ? [word] : [];
});
console.log(flags.join('\n'));
