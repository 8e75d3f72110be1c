// `npm run build:prebuilds` compiles the addon of this machine, or of another `--arch`, into prebuilds/ in prebuildify's layout.
import { parseArgs } from 'node:util';
import prebuildify from 'prebuildify';

const { values } = parseArgs({ options: { arch: { type: 'string' }, libc: { type: 'string' } } });
const linux = process.platform === 'linux';
process.env.JOBS ??= 'max';
prebuildify(
  {
    ...values,
    napi: true,
    strip: true,
    // prebuildify would also tag macOS and Windows with glibc.
    tagLibc: linux,
    // The headers of the running Node, not those of the newest.
    targets: [process.versions.node],
  },
  (error) => {
    if (error) throw error;
  },
);
