// Before a release: checks that every prebuild the package looks for exists, matches its platform, and runs wherever Node 20 runs.
import { existsSync, readFileSync } from 'node:fs';

const formats = {
  'linux-x64': (file) => file.readUInt32BE(0) === 0x7f454c46 && file.readUInt16LE(18) === 62,
  'linux-arm64': (file) => file.readUInt32BE(0) === 0x7f454c46 && file.readUInt16LE(18) === 183,
  'darwin-x64': (file) => file.readUInt32LE(0) === 0xfeedfacf && file.readUInt32LE(4) === 0x01000007,
  'darwin-arm64': (file) => file.readUInt32LE(0) === 0xfeedfacf && file.readUInt32LE(4) === 0x0100000c,
  'win32-x64': (file) => file.readUInt16BE(0) === 0x4d5a && file.readUInt16LE(file.readUInt32LE(60) + 4) === 0x8664,
};
// The newest library versions that Node 20 itself needs: those of RHEL 8.
const newest = { GLIBC: '2.28', GLIBCXX: '3.4.25', CXXABI: '1.3.11' };

const compare = (a, b) => a.localeCompare(b, 'en', { numeric: true });
const problems = [];
const paths = [
  ...readFileSync('dist/engine/prebuilds.js', 'utf8').matchAll(/require\('\.\.\/\.\.\/(prebuilds\/.+)'\)/g),
];
// The files named on the command line, or all.
for (const path of process.argv.length > 2 ? process.argv.slice(2) : paths.map(([, path]) => path)) {
  if (!existsSync(path)) {
    problems.push(`${path} is missing`);
    continue;
  }
  const file = readFileSync(path);
  const platform = path.split('/').at(-2);
  if (!formats[platform]?.(file)) problems.push(`${path} is not of ${platform}`);
  const text = file.toString('latin1');
  for (const [library, limit] of Object.entries(newest)) {
    const versions = [...text.matchAll(new RegExp(`\\0${library}_([\\d.]+)(?=\\0)`, 'g'))].map(
      ([, version]) => version,
    );
    const needed = versions.sort(compare).at(-1);
    if (needed && compare(needed, limit) > 0)
      problems.push(`${path} needs ${library}_${needed}, expected at most ${limit}`);
  }
  if (path.endsWith('.musl.node') && /\0GLIBC_/.test(text)) problems.push(`${path} needs glibc`);
  console.log(`${path}: ${(file.length / 1024).toFixed(0)} KiB`);
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
