#!/usr/bin/env node
import { Command } from 'commander';
import { CliError } from './cli-error.js';
import { versionOf } from './optional.js';

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

program.parseAsync().catch((error: unknown) => {
  // A mistake of the user's needs no stack; a mistake of ours does.
  console.error(error instanceof CliError ? error.message : error);
  process.exitCode = 1;
});
