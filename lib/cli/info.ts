import { backend, optimizers } from '../index.js';

/** What runs on this machine, for people or as JSON. */
export function info({ json = false }: { readonly json?: boolean } = {}): string {
  const { name, isa, threads, version } = backend();
  const names = Object.values(optimizers).map((optimizer) => optimizer.optimizerName);
  const node = process.version;
  const platform = `${process.platform} ${process.arch}`;
  if (json)
    return JSON.stringify({ version, backend: name, isa, threads, node, platform, optimizers: names }, undefined, 2);
  const rows = {
    schuss: version,
    backend: name,
    'instruction set': isa,
    threads: String(threads),
    node,
    platform,
    optimizers: names.join(', '),
  };
  return Object.entries(rows)
    .map(([label, value]) => `${label.padEnd(16)} ${value}`)
    .join('\n');
}
