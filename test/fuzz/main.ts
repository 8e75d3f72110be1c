// npm run fuzz -- --calls 1000000 --seed 1 [--target addon] [--exclude name,…]
// npm run fuzz -- --seed 17 --trace        prints the calls of one program
// Keeps what it found in build/fuzz/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../support/root.js';
import { type CampaignResult, campaign, command } from './campaign.js';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string', default: 'api' },
    exclude: { type: 'string', default: '' },
    trace: { type: 'boolean', default: false },
  },
});
const target = values.target === 'addon' ? 'addon' : 'api';
const exclude = values.exclude === '' ? [] : values.exclude.split(',');
const seed = Number(values.seed);
const calls = Number(values.calls);

/** Findings that differ only in numbers are one. */
const kindOf = (text: string): string => text.replace(/\d+(\.\d+)?/g, '#');

function report({ crashes, findings, ...counts }: CampaignResult): string {
  const kinds = new Map<string, { count: number; first: (typeof findings)[number] }>();
  for (const finding of findings) {
    const key = kindOf(`${finding.kind}: ${finding.message}`);
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, { count: 1, first: finding });
    else known.count++;
  }
  const lines = [JSON.stringify({ target, seed, exclude, ...counts, crashes: crashes.length, kinds: kinds.size })];
  for (const { seed, end, backend, stderr } of crashes) lines.push(`CRASH seed ${seed}: ${end} ${backend}\n${stderr}`);
  for (const { count, first } of [...kinds.values()].sort((a, b) => b.count - a.count))
    lines.push(`${count} times, first by seed ${first.seed}: ${first.kind}: ${first.call}\n    ${first.message}`);
  return `${lines.join('\n')}\n`;
}

async function main(): Promise<number> {
  if (values.trace) {
    const args = command(target, seed, 1, '--trace', `--exclude=${values.exclude}`);
    const { status, signal } = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
    console.log(signal ?? `exit code ${status}`);
    return status ?? 1;
  }
  const begin = performance.now();
  const onProgress = ({ calls: done, refused, crashes, findings }: CampaignResult) => {
    const seconds = (performance.now() - begin) / 1000;
    process.stderr.write(
      `${done} of ${calls} calls, ${refused} refused, ${crashes.length} crashes, ${findings.length} findings, ${seconds.toFixed(0)} s\n`,
    );
  };
  const result = await campaign({ target, calls, seed, exclude, onProgress });
  const folder = join(root, 'build', 'fuzz');
  mkdirSync(folder, { recursive: true });
  const text = report(result);
  writeFileSync(join(folder, `${target}-${seed}.txt`), text);
  console.log(text);
  return result.crashes.length + result.findings.length > 0 ? 1 : 0;
}

main().then((status) => process.exit(status));
