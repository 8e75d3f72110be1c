import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/** The package's root, from lib/core and from dist/core alike. */
export const root = join(__dirname, '..', '..');

/** A `require` that bundlers leave alone, for absolute paths. */
const requireFile = createRequire(process.execPath);

/**
 * The C library of a Linux program: the head of its file names its loader, ld-musl-x86_64.so.1 or ld-linux-x86-64.so.2.
 */
export function libcOf(program: string): 'glibc' | 'musl' {
  const head = Buffer.alloc(4096);
  try {
    const file = openSync(program, 'r');
    try {
      readSync(file, head);
    } finally {
      closeSync(file);
    }
  } catch {
    // Unreadable: what most have.
  }
  return head.includes('/ld-musl-') ? 'musl' : 'glibc';
}

/** What an addon is built for. */
export interface Target {
  readonly platform: string;
  readonly arch: string;
  /** On Linux alone. */
  readonly libc?: 'glibc' | 'musl';
}

export function currentTarget(): Target {
  const { platform, arch, execPath } = process;
  return platform === 'linux' ? { platform, arch, libc: libcOf(execPath) } : { platform, arch };
}

export function targetName({ platform, arch, libc }: Target): string {
  return libc === undefined ? `${platform}-${arch}` : `${platform}-${arch}-${libc}`;
}

/** Where prebuildify puts the addon of a target, below the package's root. */
export function prebuildPath({ platform, arch, libc }: Target): string {
  return `prebuilds/${platform}-${arch}/${libc === undefined ? 'schuss' : `schuss.${libc}`}.node`;
}

/** Where a build in a clone leaves the addon. It goes before the prebuilds. */
export const ownBuild = join(root, 'build', 'Release', 'schuss.node');

/**
 * The prebuilds that are published. Bundlers follow a path only where it is spelled out, and do without its file only
 * where it stands inside a `try`.
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
 * The addon, from build/ or prebuilds/, and where it came from.
 * @throws Error whose message is the reason: there is none for this platform, or the system's word on why it does not
 *   load.
 */
export function findAddon(): { readonly addon: unknown; readonly file: string } {
  const target = currentTarget();
  const file = prebuildPath(target);
  let where = file;
  try {
    if (existsSync(ownBuild)) {
      where = 'build/Release/schuss.node';
      return { addon: requireFile(ownBuild), file: where };
    }
    const found = published(targetName(target));
    // esbuild's loader "file" and webpack's "asset/resource" give the name of the file that lies beside the bundle.
    if (typeof found === 'string') return { addon: requireFile(resolve(__dirname, found)), file: found };
    if (found !== undefined) return { addon: found, file };
    // What `schuss build` made on a platform without a published prebuild.
    if (existsSync(join(root, file))) return { addon: requireFile(join(root, file)), file };
  } catch (cause) {
    throw new Error(`${where} does not load: ${(cause as Error).message.split('\n')[0]}`, { cause });
  }
  throw new Error(`no ${file}`);
}
