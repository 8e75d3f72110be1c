import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isBundled, root } from './prebuilds.js';

/** What helps against the reasons for which a build would not help. */
const remedies: readonly (readonly [reason: RegExp, remedy: string])[] = [
  [
    /ERR_DLOPEN_DISABLED|loading addons is disabled/,
    'Start Node without --no-addons; with the permission model, --allow-addons allows them',
  ],
  [/--allow-ffi/, 'Start Deno with --allow-ffi'],
  [
    /failed to map segment|Operation not permitted/,
    'Nothing can be executed from this file system, which is mounted with noexec: install the package on another one',
  ],
  [/Permission denied|EACCES/, 'This user may not read the file: change its mode or owner'],
  [/is not the addon of schuss/, 'A bundler, alias or mock has replaced the file: let it copy .node files as they are'],
];

/** What the user can do about an addon that does not load. @param error why it does not load */
export function remedyFor(error: Error): string {
  const { code } = (error.cause ?? {}) as { code?: unknown };
  const reason = `${String(code)} ${error.message}`;
  const found = remedies.find(([pattern]) => pattern.test(reason));
  if (found !== undefined) return found[1];
  if (isBundled) return 'In a bundle, copy the .node file as the installation guide says under Bundlers';
  const command = existsSync(join(root, 'binding.gyp')) ? 'npm run build' : 'npx schuss build';
  return `\`${command}\` compiles it, with Python 3 and a C++17 compiler`;
}
