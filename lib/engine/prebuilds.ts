import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

// A bundle that is an ES module has no __dirname, and no files of the package around it.
const here = typeof __dirname === 'string' ? __dirname : undefined;

/** Root folder of the package. The path is the same from lib/engine and from dist/engine. */
export const root = here === undefined ? '' : join(here, '..', '..');

/** Whether this code runs in a bundle, where no path leads to the files of the package. */
export const isBundled = here === undefined || basename(here) !== 'engine';

/** Loads an addon by its absolute path, behind the back of bundlers. */
function requireFile(file: string): unknown {
  // Any absolute path will do. That of Node itself would not: without /proc it is empty.
  return createRequire(resolve('/', 'schuss.js'))(file);
}

/** Platform that an addon is built for. */
export interface Target {
  readonly platform: string;
  readonly arch: string;
  /** Only on Linux. */
  readonly libc?: 'glibc' | 'musl';
}

export function currentTarget(): Target {
  const { platform, arch } = process;
  if (platform !== 'linux') return { platform, arch };
  // Loaded here, not at the top: it loads node:child_process, which adds a tenth to the time of require('schuss').
  const { familySync } = require('detect-libc') as typeof import('detect-libc');
  return { platform, arch, libc: familySync() === 'musl' ? 'musl' : 'glibc' };
}

export function targetName({ platform, arch, libc }: Target): string {
  return libc === undefined ? `${platform}-${arch}` : `${platform}-${arch}-${libc}`;
}

/** Path of a target's addon below the root, in prebuildify's layout. */
export function prebuildPath({ platform, arch, libc }: Target): string {
  return `prebuilds/${platform}-${arch}/${libc === undefined ? 'schuss' : `schuss.${libc}`}.node`;
}

/** Path of the addon that a clone builds. It takes precedence over the prebuilds. */
export const ownBuild = join(root, 'build', 'Release', 'schuss.node');

/**
 * Loads a published prebuild. Each path is a literal, because bundlers follow only those. The `require` calls are
 * inside a `try`, because only there do bundlers accept a missing file.
 */
function published(name: string): unknown {
  try {
    switch (name) {
      case 'darwin-arm64':
        return require('../../prebuilds/darwin-arm64/schuss.node');
      case 'darwin-x64':
        return require('../../prebuilds/darwin-x64/schuss.node');
      case 'linux-arm64-glibc':
        return require('../../prebuilds/linux-arm64/schuss.glibc.node');
      case 'linux-arm64-musl':
        return require('../../prebuilds/linux-arm64/schuss.musl.node');
      case 'linux-x64-glibc':
        return require('../../prebuilds/linux-x64/schuss.glibc.node');
      case 'linux-x64-musl':
        return require('../../prebuilds/linux-x64/schuss.musl.node');
      case 'win32-x64':
        return require('../../prebuilds/win32-x64/schuss.node');
      default:
        return undefined;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/**
 * The path that a bundler returns instead of an addon: the name of a file beside the bundle (esbuild's loader "file",
 * webpack's "asset/resource"), or its URL (webpack's `output.module`).
 */
function pathOf(found: string): string {
  return found.startsWith('file:') ? fileURLToPath(found) : resolve(here ?? '', found);
}

/**
 * Loads the addon from build/ or prebuilds/. Returns it with the path of its file.
 * @throws Error that says why: there is none for this platform, or the system's reason why it does not load
 */
export function findAddon(): { readonly addon: unknown; readonly file: string } {
  const target = currentTarget();
  const file = prebuildPath(target);
  let where = file;
  try {
    if (here !== undefined && existsSync(ownBuild)) {
      where = 'build/Release/schuss.node';
      return { addon: requireFile(ownBuild), file: where };
    }
    const found = published(targetName(target));
    if (typeof found === 'string') return { addon: requireFile(pathOf(found)), file: found };
    if (found !== undefined) return { addon: found, file };
    // `schuss build` puts an addon here on a platform without a published prebuild.
    if (here !== undefined && existsSync(join(root, file))) return { addon: requireFile(join(root, file)), file };
  } catch (cause) {
    // A bundler may put the whole addon in the place of its path.
    const reason = ((cause as Error).message.split('\n')[0] as string).slice(0, 500);
    throw new Error(`${where} does not load: ${reason}`, { cause });
  }
  throw new Error(`no ${file}`);
}
