// The addon of this machine, or of another by `--arch`, into prebuilds/, as prebuildify lays it out: `npm run build:prebuilds`.
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
    // prebuildify would tag macOS and Windows with glibc, too.
    tagLibc: linux,
    // The headers of the Node that runs this, not those of the newest one.
    targets: [process.versions.node],
  },
  (error) => {
    if (error) throw error;
  },
);
