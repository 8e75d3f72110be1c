import { availableParallelism, release, totalmem, type } from 'node:os';
import { backend } from '../common/schuss.js';
import { processorName } from '../report/machine.js';

/** Where and when results were measured, for comparing them. */
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
  const { name, isa, version } = backend();
  return {
    cpu: processorName(),
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    os: `${type()} ${release()}`,
    arch: process.arch,
    node: process.version,
    schuss: version,
    backend: name,
    isa,
    date: new Date().toISOString().slice(0, 10),
  };
}
