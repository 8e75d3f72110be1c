// CONTRIBUTING's recipe for a new optimizer, to the letter, in a copy of this checkout: what follows by itself, what a test
// asks for by name, and what half a recipe is told. Its native builds take some minutes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Block, blocksOf, copyCheckout, follow } from './recipe.js';

const root = join(__dirname, '..', '..');
const blocks = blocksOf(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'), 'Add an optimizer');
const scratch = mkdtempSync(join(tmpdir(), 'schuss-recipe-'));
/** A checkout in which the recipe is followed, and one in which half of it is. */
const [copy, half] = [join(scratch, 'copy'), join(scratch, 'half')];

const [kernelTable, classTable] = ['native/kernels/all.h', 'lib/optimizers/index.ts'];
const blockOf = (wanted: (file: string) => boolean): Block =>
  blocks.find(({ file }) => wanted(file)) ?? { file: 'no such file', code: '' };
const { file: kernelFile } = blockOf((file) => file.startsWith('native/') && file !== kernelTable);
const { file: classFile, code: classCode } = blockOf((file) => file.startsWith('lib/') && file !== classTable);
const className = /^export class (\w+)/m.exec(classCode)?.[1] as string;
const key = className.toLowerCase();
const listOf = (field: string): string[] =>
  [...(new RegExp(`\\b${field}: \\[(.*?)\\]`).exec(classCode)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
    ([, name]) => name!,
  );
const [state, constants] = [listOf('state'), listOf('constants')];

interface Output {
  readonly status: number | null;
  readonly out: string;
}

/** Runs a command as a contributor would, not as a test inside a test. */
function run(checkout: string, command: string, ...args: string[]): Output {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(SCHUSS_|VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$)/.test(name)),
  );
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: checkout,
    encoding: 'utf8',
    // -O0 takes a quarter of the compiler's time, and gives the same bits.
    env: { ...env, NO_COLOR: '1', CXXFLAGS: '-O0' },
    shell: process.platform === 'win32',
  });
  return { status, out: stdout + stderr };
}
const npm = (checkout: string, script: string): Output => run(checkout, 'npm', 'run', '--silent', script);
const tsx = (checkout: string, ...args: string[]): Output =>
  run(checkout, join('node_modules', '.bin', 'tsx'), ...args);
/** What one step of the class prints, from the checkout's sources. */
const step = (checkout: string): string =>
  tsx(
    checkout,
    '--eval',
    `require('./lib/index.ts').createOptimizer('${key}', new Float32Array(4)).step(new Float32Array(4))`,
  ).out;

interface Tested {
  /** Full names of the tests that ran. */
  readonly passed: readonly string[];
  /** Of those that failed, the messages by full name. */
  readonly failed: Readonly<Record<string, string>>;
  /** Files with a test that ran. */
  readonly files: readonly string[];
}

/** The tests of these files whose names match. */
function runTests(checkout: string, names: RegExp, files: readonly string[]): Tested {
  const report = join(checkout, 'report.json');
  rmSync(report, { force: true });
  const options = ['--reporter=json', `--outputFile=${report}`, '--testNamePattern', names.source, '--mode', 'all'];
  const { out } = run(checkout, join('node_modules', '.bin', 'vitest'), 'run', ...options, ...files);
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: {
      name: string;
      message: string;
      assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
    }[];
  };
  for (const { name, message, assertionResults } of testResults)
    expect(assertionResults.length, `${name} did not load: ${message}\n${out}`).toBeGreaterThan(0);
  const ran = testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.filter(({ status }) => status === 'passed' || status === 'failed').map((t) => ({ ...t, file })),
  );
  return {
    passed: ran.filter(({ status }) => status === 'passed').map(({ fullName }) => fullName),
    failed: Object.fromEntries(
      ran.filter(({ status }) => status === 'failed').map((t) => [t.fullName, t.failureMessages.join('\n')]),
    ),
    files: [...new Set(ran.map(({ file }) => file.slice(checkout.length + 1)))].sort(),
  };
}

/** The test files of these kinds that loop over the table of optimizers. */
const overTheTable = (kinds: RegExp): string[] =>
  readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => kinds.test(file) && !file.startsWith('recipe'))
    .filter((file) => /support\/(classes|rig)\.js'/.test(readFileSync(join(root, 'test', file), 'utf8')))
    .map((file) => join('test', file));

/** Runs `action` while the copy's class file is another. */
function whileChanged(change: (text: string) => string, action: () => void): void {
  const path = join(copy, classFile);
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  expect(after, `${classFile} does not hold what this test changes`).not.toBe(before);
  writeFileSync(path, after);
  try {
    action();
  } finally {
    writeFileSync(path, before);
  }
}

beforeAll(() => {
  copyCheckout(root, copy);
  follow(blocks, copy);
  const { status, out } = npm(copy, 'build');
  expect(status, out).toBe(0);
}, 900_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('the recipe is two new files, and entries in two tables', () => {
  expect(blocks.map(({ file }) => file).sort()).toEqual([classFile, classTable, kernelFile, kernelTable].sort());
  const lines = (file: string): number =>
    blockOf((other) => other === file)
      .code.trim()
      .split('\n').length;
  // An include and an entry; an import, a row and an export.
  expect([lines(kernelTable), lines(classTable)]).toEqual([2, 3]);
});

describe('what follows by itself', { timeout: 900_000 }, () => {
  test('npm run format leaves nothing for lint and the type checker', () => {
    expect(npm(copy, 'format').status).toBe(0);
    for (const script of ['lint', 'typecheck']) {
      const { status, out } = npm(copy, script);
      expect(status, `npm run ${script}: ${out}`).toBe(0);
    }
  });

  test('contract, parity, property and fuzz tests, sparse gradients among them', () => {
    const files = overTheTable(/(contract|parity|property|fuzz)\.test\.ts$/);
    const { passed, failed, files: ran } = runTests(copy, new RegExp(className), files);
    expect(failed).toEqual({});
    expect(passed.length).toBeGreaterThan(100);
    for (const file of [
      'optimizers/contract',
      'optimizers/parity',
      'sparse/contract',
      'sparse/parity',
      'threads/parity',
    ])
      expect(ran).toContain(join('test', `${file}.test.ts`));
  });

  test('createOptimizer, state, sparse steps, checkpoints, minimize, and the lists of the study and the benchmark', () => {
    const { status, out } = tsx(copy, join('test', 'recipe', 'probe.mts'), key);
    expect(status, out).toBe(0);
    const seen = JSON.parse(out);
    expect(seen).toMatchObject({
      backend: 'native',
      className,
      changedRows: [1, 3],
      resumes: true,
      study: { method: { name: className, key }, family: { id: 'others', methods: [key] } },
      bench: { isAmong: true, cases: [{ label: className, states: state.length }] },
    });
    expect(seen.minimum).toBeLessThan(1.5);
    const { step, ...arrays } = seen.state as { step: number } & Record<string, number[]>;
    expect(step).toBe(1);
    expect(Object.keys(arrays)).toEqual(state);
    // A class without initial(): state starts at 0, and still is 0 in the rows that the gradient did not name.
    for (const array of Object.values(arrays))
      expect(array.map((value) => value !== 0)).toEqual(array.map((_, i) => [1, 3].includes(Math.floor(i / 3))));
  });
});

// What only the contributor can write.
describe('what a test asks for by name', { timeout: 900_000 }, () => {
  const files = ['docs/package', 'examples/package', 'recipe/contract', 'sparse/golden'];
  const asked = (): Readonly<Record<string, string>> =>
    runTests(
      copy,
      /choosing-an-optimizer|every optimizer has (sparse )?golden|the table of optimizers/,
      files.map((file) => join('test', `${file}.test.ts`)),
    ).failed;
  const golden = [/every optimizer has golden values/, /every optimizer has sparse golden values/];

  test('golden values, also with sparse gradients; rows in the README and in the guide', () => {
    const failed = asked();
    const wanted = [...golden, /choosing-an-optimizer/, /the table of optimizers in the README/];
    const names = Object.keys(failed).sort();
    expect(names).toEqual(wanted.map((name) => expect.stringMatching(name)));
    for (const name of names) expect(failed[name], name).toMatch(new RegExp(className, 'i'));
  });

  test('npm run docs:readme writes both rows, and leaves the golden values', () => {
    expect(npm(copy, 'docs:readme').status).toBe(0);
    for (const page of ['README.md', 'docs/guide/choosing-an-optimizer.md'])
      expect(readFileSync(join(copy, page), 'utf8')).toMatch(new RegExp(`^\\| \\[?\`${className}\`.* \\|`, 'm'));
    expect(readFileSync(join(copy, 'docs', 'optimizers', `${key}.md`), 'utf8')).toContain('## Pitfalls');
    expect(Object.keys(asked()).sort()).toEqual(golden.map((name) => expect.stringMatching(name)));
  });
});

describe('half a recipe names what is missing', { timeout: 900_000 }, () => {
  const followWithout = (left: string): void => {
    rmSync(half, { recursive: true, force: true });
    copyCheckout(root, half);
    follow(
      blocks.filter(({ file }) => file !== left),
      half,
    );
  };
  const architecture = (): string =>
    Object.values(runTests(half, /an optimizer is two files/, [join('test', 'architecture.test.ts')]).failed).join();

  test('no entry in all.h', () => {
    followWithout(kernelTable);
    // The copied addon was built before the recipe: it has no such kernel either.
    expect(step(half)).toContain(
      `schuss: the addon's kernel "${key}" is missing, expected state (${state.join(', ')}) and constants`,
    );
    expect(architecture()).toContain(`declared, but not in native/kernels/all.h: expected [ '${key}' ]`);
  });

  test('no kernel', () => {
    followWithout(kernelFile);
    const { status, out } = npm(half, 'build:native');
    expect(status).not.toBe(0);
    expect(out).toContain(`${key}.h`);
  });

  test('no entry in index.ts', () => {
    followWithout(classTable);
    const message = architecture();
    expect(message).toContain(`in native/kernels/all.h, but not declared: expected [ '${key}' ]`);
    expect(message).toContain(`lib/optimizers/index.ts does not import: expected [ '${classFile}' ]`);
    expect(step(half)).toContain(`createOptimizer: name: "${key}", expected `);
  });

  const lastOf = (list: readonly string[]): string => list.at(-1) as string;
  const renamed = (field: string, list: readonly string[]) => (text: string) =>
    text.replace(
      new RegExp(`(${field}: \\[[^\\]]*)'${lastOf(list)}'`),
      (_, before: string) => `${before}'${lastOf(list)}Too'`,
    );

  test.each<[string, (text: string) => string, string]>([
    [
      'a constant spelled differently',
      renamed('constants', constants),
      `${lastOf(constants)}), expected state (${state.join(', ')}) and constants (${constants.join(', ')}Too)`,
    ],
    [
      'state spelled differently',
      renamed('state', state),
      `holds state (${state.join(', ')}) and constants (${constants.join(', ')}), expected state (${state.join(', ')}Too)`,
    ],
    [
      'the kernel spelled differently',
      (text) => text.replace(`${key}: kernel(`, `${key}Too: kernel(`),
      `kernel "${key}Too" is missing`,
    ],
  ])('%s', (_, change, message) => {
    whileChanged(change, () => expect(step(copy)).toContain(message));
  });

  test('a formula that differs between the languages', () => {
    whileChanged(
      (text) => text.replace('return param - ', 'return param + '),
      () => {
        const parity = join('test', 'optimizers', 'parity.test.ts');
        const { failed } = runTests(copy, new RegExp(`${className} .* gives the bits of the reference`), [parity]);
        expect(Object.values(failed).join('\n')).toMatch(/array \d+\[\d+\] is .+, expected .+/);
      },
    );
  });
});
