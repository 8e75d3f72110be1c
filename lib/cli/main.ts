#!/usr/bin/env node
import { Command } from 'commander';
import { CliError } from './cli-error.js';

const { version } = require('../../package.json') as { version: string };

const program = new Command('schuss')
  .description('Optimizers for training neural networks from Node.')
  .version(version)
  .enablePositionalOptions()
  .showHelpAfterError('(schuss --help lists the commands)');

program
  .command('info')
  .description('show what runs on this machine: the backend, its instruction set, the optimizers')
  .option('--json', 'print JSON')
  .action(async (options: { json?: boolean }) => {
    const { info } = await import('./info.js');
    console.log(info(options));
  });

program
  .command('build')
  .description('compile the native addon for this machine if no prebuilt one fits: needs Python 3 and a C++17 compiler')
  .option(
    '--mpi',
    'compile the addon for schuss/distributed over MPI instead: needs the mpicc of Open MPI or MPICH, or MPICC',
  )
  .option('--verbose', 'show the output of node-gyp and the compiler')
  .action(async (options: import('./build.js').BuildOptions) => {
    const { build } = await import('./build.js');
    build(options);
    const { info } = await import('./info.js');
    console.log(`\n${info()}`);
  });

program
  .command('bench')
  .description(
    'measure a step on this machine: the native backend beside the JavaScript backend and a plain loop, in under 30 seconds',
  )
  .option('--json', 'print JSON')
  .option('--sizes <elements...>', 'numbers of parameters (default: 1e3 1e4 1e5 1e6 1e7)')
  .addHelpText('after', '\nExamples:\n  schuss bench\n  schuss bench --sizes 1e6\n  schuss bench --json > bench.json')
  .action(async (options: import('./bench.js').BenchOptions) => {
    const { bench } = await import('./bench.js');
    console.log(bench(options));
  });

program
  .command('launch')
  .description('run a training script on several ranks: worker threads, or the processes of another launcher after --')
  .usage('-n <ranks> [options] <script> [args...]\n       schuss launch [options] -- <command> [args...]')
  .argument('<script or command...>')
  .option('-n, --ranks <ranks>', 'number of ranks, one worker thread each')
  .option('--restart <times>', 'start the job again after a failure, at most so many times (default: 0)')
  .option('--timeout <ms>', 'default deadline of a collective (default: 600000)')
  .option('--grace <ms>', 'time from SIGINT or SIGTERM to the end of the job (default: 3000)')
  .passThroughOptions()
  .showHelpAfterError(
    '(schuss launch --help lists the options; --nproc_per_node of torchrun is -n, --max_restarts is --restart)',
  )
  .addHelpText(
    'after',
    '\nExamples:\n  schuss launch -n 4 train.mjs --epochs 10\n  schuss launch --restart 3 -- mpirun -np 8 node train.mjs',
  )
  .action(async (words: string[], options: import('./launch.js').LaunchOptions) => {
    const { launch } = await import('./launch.js');
    process.exitCode = await launch(words, isAfterDashes(words), options);
  });

/** Whether \`--\` stands right before the words that are not options. */
function isAfterDashes(words: readonly string[]): boolean {
  return process.argv[process.argv.length - words.length - 1] === '--';
}

program.parseAsync().catch((error: unknown) => {
  // A user's mistake needs no stack; a bug does.
  console.error(error instanceof CliError ? error.message : error);
  process.exitCode = 1;
});
