/** A mistake of the user or a problem of the machine. The command prints its message without a stack and exits with 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
}
