/** A mistake of the user or of their machine: the command prints its message, without a stack, and exits 1. */
export class CliError extends Error {
  override readonly name = 'CliError';
}
