import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { versionOf } from '../../lib/cli/optional.js';
import { backend } from '../../lib/engine/backend.js';

/** Where and when, for whoever compares results. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly arch: string;
  readonly node: string;
  readonly schuss: string;
  readonly backend: string;
  readonly isa: string;
  readonly date: string;
}

export function machine(): Machine {
  const { name, isa } = backend();
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    arch: process.arch,
    node: process.version,
    schuss: versionOf('schuss'),
    backend: name,
    isa,
    date: new Date().toISOString().slice(0, 10),
  };
}
