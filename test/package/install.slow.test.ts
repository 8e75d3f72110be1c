// The package as users get it: installed by npm without a network, bundled, without a prebuild, and built from source.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import webpack from 'webpack';
import { nodeGyp } from '../../lib/cli/build.js';
import { currentTarget, findAddon, prebuildPath, targetName } from '../../lib/engine/prebuilds.js';
import manifest from '../../package.json';
import { root } from '../support/root.js';

const folder = mkdtempSync(join(tmpdir(), 'schuss-install-'));
const app = join(folder, 'app');
const bare = join(folder, 'bare app'); // with a space, which make does not accept in a path
const prebuild = prebuildPath(currentTarget());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(
  command: string,
  args: readonly string[],
  { cwd = app, status = 0, ...environment }: { cwd?: string; status?: number; [variable: string]: unknown } = {},
): { out: string; err: string } {
  const { SCHUSS_BACKEND: _b, SCHUSS_ISA: _i, SCHUSS_THREADS: _t, NODE_OPTIONS: _o, ...rest } = process.env;
  const shell = process.platform === 'win32' && command !== process.execPath;
  const env = { ...rest, ...(environment as Record<string, string>) };
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env, shell });
  expect(result.status, result.stdout + result.stderr).toBe(status);
  return { out: result.stdout, err: result.stderr };
}
const node = (args: readonly string[], options = {}): { out: string; err: string } =>
  run(process.execPath, args, options);
const schuss = (args: readonly string[], options = {}): { out: string; err: string } =>
  run('npx', ['--offline', 'schuss', ...args], options);

/** The dependencies and their dependencies. npm finds them among the tarballs. */
function closure(names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    if (found.has(name)) continue;
    found.add(name);
    const { dependencies = {} } = createRequire(__filename)(join(root, 'node_modules', name, 'package.json')) as {
      dependencies?: Record<string, string>;
    };
    closure(Object.keys(dependencies), found);
  }
  return found;
}

let packed: { size: number; unpackedSize: number; files: { path: string }[] };
let tarballs: string[];

function install(place: string, ...options: string[]): void {
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{ "name": "app", "private": true }');
  // An empty cache, so that nothing comes from elsewhere.
  run('npm', ['install', '--offline', '--cache', join(folder, 'cache'), '--no-audit', ...options, ...tarballs], {
    cwd: place,
  });
}

beforeAll(() => {
  const clone = join(folder, 'clone');
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'binding.gyp', 'native', 'dist', 'test'])
    cpSync(join(root, name), join(clone, name), { recursive: true });
  // As prebuildify does: the addon of this checkout without its symbols.
  mkdirSync(dirname(join(clone, prebuild)), { recursive: true });
  cpSync(join(root, findAddon().file), join(clone, prebuild));
  if (process.platform === 'linux') run('strip', ['--strip-all', join(clone, prebuild)], { cwd: clone });
  const packs = join(folder, 'packs');
  mkdirSync(packs);
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', packs];
  const list = Object.values(JSON.parse(run('npm', [...pack, '.'], { cwd: clone }).out));
  packed = list[0] as typeof packed;
  const dependencies = [...closure(Object.keys(manifest.dependencies))].map((name) => `./${name}`);
  run('npm', [...pack, ...dependencies], { cwd: join(root, 'node_modules') });
  tarballs = readdirSync(packs).map((name) => join(packs, name));
  install(app);
  // An app on a platform without a prebuild.
  install(bare, '--ignore-scripts');
  rmSync(join(bare, 'node_modules', 'schuss', 'prebuilds'), { recursive: true });
}, 300_000);

test('the tarball contains the prebuild, and build sources where no package manager looks for them', () => {
  const files = packed.files.map(({ path }) => path);
  expect(files).toEqual(
    expect.arrayContaining([prebuild, 'native/kernels/adam.h', 'native/isa/targets.gypi', 'dist/addon/binding.gyp']),
  );
  expect(files).toContain('dist/addon/node-addon-api/napi.h');
  expect(files).not.toContain('binding.gyp');
  expect(
    files.filter((file) => file.startsWith('test/') || file.includes('node_modules')),
    'files that do not belong into the tarball',
  ).toEqual([]);
  console.log(`tarball with one prebuild: ${packed.size} bytes, unpacked ${packed.unpackedSize}`);
  // Each kernel is compiled for each instruction set: about 40 kernels took 1 MiB, and there are twice as many algorithms now.
  expect(packed.size).toBeLessThan(2 ** 21);
});

describe('installed', () => {
  test('installs only the package and its dependencies', () => {
    const { packages } = JSON.parse(readFileSync(join(app, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    expect(Object.keys(packages).length - 1).toBe(tarballs.length);
    expect(packages['node_modules/schuss']!.hasInstallScript).toBeUndefined();
  });

  test.each([
    ['require', ['-e', "console.log(require('schuss').backend().name)"]],
    ['import', ['--input-type=module', '-e', "import { backend } from 'schuss'; console.log(backend().name)"]],
  ])('%s: the addon runs', (_, args) => {
    expect(node(args)).toEqual({ out: 'native\n', err: '' });
  });

  test('info shows the backend', () => {
    const { out } = schuss(['info']);
    expect(out).toMatch(/^backend +native$/m);
    expect(out).toMatch(new RegExp(`^addon +${prebuild}$`, 'm'));
    expect(out).toMatch(new RegExp(`^platform +${targetName(currentTarget())}$`, 'm'));
    expect(schuss(['info'], { SCHUSS_BACKEND: 'js' }).out).toMatch(/^why not native +SCHUSS_BACKEND=js$/m);
  });
});

describe('bundled', () => {
  const program = `
    import { Adam, backend } from 'schuss';
    const w = new Float32Array([1, 2, 3]);
    new Adam(w, { lr: 0.5 }).step(new Float32Array([1, -1, 0]));
    console.log(backend().name, backend().version, ...w);`;
  const native = { out: `native ${manifest.version} 0.5 2.5 3\n`, err: '' };
  const onReference = { out: native.out.replace('native', 'js'), err: expect.stringContaining('SCHUSS_NO_NATIVE') };
  const elsewhere = { cwd: tmpdir() };

  function bundle(name: string, place: string, options: Parameters<typeof buildSync>[0]): string {
    const outfile = join(folder, 'bundles', name, 'app.mjs');
    const { warnings } = buildSync({
      stdin: { contents: program, resolveDir: place },
      bundle: true,
      platform: 'node',
      logLevel: 'silent',
      outfile: options.format === 'esm' ? outfile : outfile.replace('.mjs', '.cjs'),
      ...options,
    });
    expect(warnings, 'warnings of esbuild').toEqual([]);
    return options.format === 'esm' ? outfile : outfile.replace('.mjs', '.cjs');
  }
  // CommonJS code that requires Node's modules needs this banner in a bundle that is an ES module.
  const banner = {
    js: "import { createRequire } from 'node:module'; import { dirname } from 'node:path'; import { fileURLToPath } from 'node:url'; const require = createRequire(import.meta.url), __filename = fileURLToPath(import.meta.url), __dirname = dirname(__filename);",
  };

  test.each(['copy', 'file'] as const)('esbuild, loader %s', (loader) => {
    expect(node([bundle(loader, app, { loader: { '.node': loader } })], elsewhere)).toEqual(native);
  });

  test('esbuild, as an ES module', () => {
    const file = bundle('esm', app, { loader: { '.node': 'copy' }, format: 'esm', banner });
    expect(node([file], elsewhere)).toEqual(native);
  });

  test('esbuild, split at an import()', () => {
    const outdir = join(folder, 'bundles', 'split');
    const contents =
      "const { Adam, cosine, backend } = await import('schuss'); console.log(typeof Adam, typeof cosine, backend().name);";
    const format = 'esm' as const;
    buildSync({
      stdin: { contents, resolveDir: app },
      ...{ bundle: true, splitting: true, platform: 'node', format, outdir, banner, outExtension: { '.js': '.mjs' } },
      loader: { '.node': 'copy' },
      logLevel: 'silent',
    });
    expect(node([join(outdir, 'stdin.mjs')], elsewhere)).toEqual({ out: 'function function native\n', err: '' });
  });

  test.each([false, true])('webpack, asset/resource, as an ES module: %s', async (module) => {
    writeFileSync(join(app, 'app.mjs'), program);
    const path = join(folder, 'bundles', `webpack-${module}`);
    const filename = module ? 'app.mjs' : 'app.cjs';
    const stats = await new Promise<webpack.Stats>((resolve, reject) =>
      webpack(
        {
          mode: 'none',
          target: 'node',
          context: app,
          entry: './app.mjs',
          output: { path, filename, module },
          experiments: { outputModule: module },
          module: { rules: [{ test: /\.node$/, type: 'asset/resource' }] },
        },
        (error, result) => (error ? reject(error) : resolve(result as webpack.Stats)),
      ),
    );
    const { errors = [], warnings = [] } = stats.toJson({ errors: true, warnings: true });
    expect(errors, 'errors of webpack').toEqual([]);
    // This tarball contains one prebuild; a published one contains all.
    expect(
      warnings.filter(({ message }) => !/Can't resolve '\.\.\/\.\.\/prebuilds\//.test(message)),
      'warnings of webpack',
    ).toEqual([]);
    expect(node([join(path, filename)], elsewhere)).toEqual(native);
  });

  test('the JS backend runs if the bundle loses the addon or there was none', () => {
    const file = bundle('lost', app, { loader: { '.node': 'copy' } });
    for (const name of readdirSync(dirname(file))) if (name.endsWith('.node')) rmSync(join(dirname(file), name));
    expect(node([file], elsewhere)).toEqual(onReference);
    expect(node([bundle('none', bare, {})], elsewhere)).toEqual(onReference);
  });

  test('webpack and esbuild find every prebuild that is published', () => {
    const source = readFileSync(join(root, 'dist', 'engine', 'prebuilds.js'), 'utf8');
    const paths = [...source.matchAll(/case '(.+)':\s+return require\('\.\.\/\.\.\/(.+)'\)/g)];
    expect(paths.length).toBe(7);
    for (const [, name, path] of paths) {
      const [platform, arch, libc] = (name as string).split('-') as [string, string, 'glibc' | 'musl' | undefined];
      expect(path).toBe(prebuildPath({ platform, arch, ...(libc && { libc }) }));
    }
  });
});

describe('without its prebuild', () => {
  const warning = /SchussWarning: no native addon for \w+-\w+ \(no prebuilds\/.+\.node\): .*`npx schuss build`/;
  const bits = (options = {}): string =>
    node([join(root, 'test', 'package', 'bits.cjs'), join(bare, 'node_modules', 'schuss')], options).out;

  test.each(['require', 'import'])(
    '%s: the JS backend runs after one warning, which names the build command',
    (form) => {
      const code =
        "const { Adam, backend } = await load('schuss'); new Adam(new Float32Array(1)); console.log(backend().name);";
      const load =
        form === 'require'
          ? "import { createRequire } from 'node:module'; const load = createRequire(process.cwd() + '/');"
          : 'const load = (name) => import(name);';
      const { out, err } = node(['--input-type=module', '-e', load + code], { cwd: bare });
      expect(out).toBe('js\n');
      expect(err).toMatch(warning);
      expect(err.match(/SchussWarning/g)).toHaveLength(1);
    },
  );

  test('info shows the reason', () => {
    expect(schuss(['info'], { cwd: bare }).out).toMatch(new RegExp(`^why not native +no ${prebuild}$`, 'm'));
    const { fallback } = JSON.parse(schuss(['info', '--json'], { cwd: bare }).out) as { fallback: string };
    expect(fallback).toBe(`no ${prebuild}`);
    const { err } = schuss(['info'], { cwd: bare, SCHUSS_BACKEND: 'native', status: 1 });
    expect(err).toMatch(/^schuss: SCHUSS_BACKEND=native: there is no native addon .*`npx schuss build` compiles it/);
    expect(err).not.toContain('    at ');
  });

  test("info shows the system's reason for an addon that does not load", () => {
    const file = join(bare, 'node_modules', 'schuss', prebuild);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, 'not an addon');
    expect(schuss(['info'], { cwd: bare }).out).toMatch(
      new RegExp(`^why not native +${prebuild} does not load: .+`, 'm'),
    );
  });

  test.skipIf(process.platform === 'win32')('build names the missing tool', () => {
    const refused = (environment: Record<string, string>): string =>
      node([join(bare, 'node_modules', '.bin', 'schuss'), 'build'], { cwd: bare, status: 1, ...environment }).err;
    expect(refused({ CXX: 'none' })).toMatch(/^schuss build: no C\+\+17 compiler among none\. .*comes with\n\n {2}\S/);
    expect(refused({ MAKE: 'none' })).toMatch(/^schuss build: no make\./);
    // A folder that contains only a compiler and make.
    const path = join(folder, 'path');
    mkdirSync(path);
    for (const name of ['g++', 'make'])
      symlinkSync(run('sh', ['-c', `command -v ${name}`]).out.trim(), join(path, name));
    expect(refused({ PATH: path, PYTHON: '', npm_config_python: '' })).toMatch(/^schuss build: no Python 3\./);
  });

  test('build finds node-gyp inside npm, and without one prints the line that installs it', () => {
    expect(nodeGyp({ npm_config_node_gyp: __filename }, '/nowhere/bin/node')).toMatch(/node-gyp\.js$/);
    // From the app, because no folder above it contains node-gyp.
    const code = `require('schuss/package.json'); const { nodeGyp } = require('./node_modules/schuss/dist/cli/build.js');
      try { nodeGyp({}, '/nowhere/bin/node') } catch (error) { console.log(error.message) }
      console.log(nodeGyp({ npm_config_node_gyp: process.execPath }, '/nowhere/bin/node') === process.execPath);`;
    const range = manifest.devDependencies['node-gyp'];
    expect(node(['-e', code], { cwd: bare }).out).toMatch(
      new RegExp(`\\n\\n {2}npm i -D node-gyp@\\${range}\\n\\ntrue\\n$`),
    );
    // In the words of the package manager at hand.
    for (const [agent, command] of [
      ['yarn/4.1.0 npm/? node/v20', 'yarn add -D'],
      ['pnpm/10.0.0', 'pnpm add -D'],
      ['bun/1.3.0', 'bun add -d'],
      ['npm/10.8.2 node/v20', 'npm i -D'],
    ]) {
      const asked = code.replace('nodeGyp({}', `nodeGyp({ npm_config_user_agent: ${JSON.stringify(agent)} }`);
      expect(node(['-e', asked], { cwd: bare }).out).toContain(`\n\n  ${command} node-gyp@${range}\n`);
    }
  });

  test('build compiles an addon that gives the same bits', { timeout: 300_000 }, () => {
    const reference = bits({ SCHUSS_BACKEND: 'js' });
    // A loader that the parts of the build must not run under, as that of Yarn's Plug'n'Play.
    const loader = join(bare, 'loader.cjs');
    writeFileSync(loader, "if (process.execArgv.includes('-p')) throw new Error('runs under the loader');");
    const { out } = schuss(['build'], {
      cwd: bare,
      NODE_OPTIONS: `--require=${JSON.stringify(loader)}`,
      CXXFLAGS: '-O0', // a quarter of the compiler's time
    });
    expect(out).toMatch(/^Built .+\.node$/m);
    expect(out).toMatch(/^backend +native$/m);
    expect(schuss(['info'], { cwd: bare })).toEqual({ out: expect.stringMatching(/^backend +native$/m), err: '' });
    expect(bits()).toBe(reference.replace(/^js/, 'native'));
  });
});

test.runIf(process.platform === 'linux')(
  'the C library that detect-libc finds chooses the prebuild; unknown is glibc',
  () => {
    const libcWhere = (found: string): string =>
      node(
        [
          '-p',
          `require('detect-libc').familySync = () => ${found}; require('./node_modules/schuss/dist/engine/prebuilds.js').currentTarget().libc`,
        ],
        { cwd: bare },
      ).out;
    expect(['"musl"', '"glibc"', 'null'].map(libcWhere)).toEqual(['musl\n', 'glibc\n', 'glibc\n']);
    const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    expect(currentTarget().libc).toBe(header.glibcVersionRuntime === undefined ? 'musl' : 'glibc');
  },
);
test.skipIf(process.platform === 'linux')('elsewhere a prebuild has no C library in its name', () => {
  expect(currentTarget()).toEqual({ platform: process.platform, arch: process.arch });
});
