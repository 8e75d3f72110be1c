import { newProgram } from './commands.js';
import { UserError } from './common/user-error.js';

newProgram()
  .parseAsync()
  .catch((error: unknown) => {
    // A user's mistake needs no stack; a bug does.
    console.error(error instanceof UserError ? error.message : error);
    process.exitCode = 1;
  });
