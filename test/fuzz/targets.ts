import { ApiProgram } from './api.js';
import type { Program, ProgramOptions } from './program.js';

/** Makes the programs of a target. The addon is loaded only where its functions are called directly. */
export async function programs(
  target: string | undefined,
  excluded: readonly string[],
): Promise<(seed: number, options: ProgramOptions) => Program> {
  if (target !== 'addon') return (seed, options) => new ApiProgram(seed, options);
  const { AddonProgram } = await import('./addon.js');
  return (seed, options) => new AddonProgram(seed, { ...options, excluded });
}
