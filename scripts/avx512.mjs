// npm run test:avx512
// Runs the unit tests of the kernels on an emulated CPU with AVX-512, for machines that have none: Bochs with a Debian
// kernel, about half an hour. Needs Debian and root, and its packages bochs, bochs-term, bochsbios, vgabios, isolinux,
// syslinux-common, xorriso and cpio. Downloads the kernel package linux-image-cloud-amd64, without installing it.
// One instruction of Bochs 2.7 is wrong: for vrsqrt14ps, 1 / sqrt(2) is 1. It is wrong by the same factor at each odd power
// of 2. The engine finds that and uses no roots with FMA there (native/engine/roots.cpp). native/test/roots_test.cpp
// leaves out the numbers of which it would take such a root.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build-cmake', 'avx512');
const limit = 60 * 60_000;

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd: folder, ...options });
  if (status === 0) return stdout;
  console.error(`${command} ${args.join(' ')}\n${stdout ?? ''}${stderr ?? error}`);
  process.exit(1);
}

const isolinux = '/usr/lib/ISOLINUX/isolinux.bin';
const missing = [isolinux, '/usr/bin/bochs', '/usr/bin/xorriso', '/bin/cpio'].filter((path) => !existsSync(path));
if (missing.length > 0 || process.getuid?.() !== 0) {
  console.log(`SKIPPED: ${missing.length > 0 ? `no ${missing.join(', ')}` : 'not root'}`);
  process.exit(0);
}
mkdirSync(join(folder, 'initrd', 'dev'), { recursive: true });
mkdirSync(join(folder, 'iso', 'isolinux'), { recursive: true });

// The kernel.
if (!existsSync(join(folder, 'iso', 'vmlinuz'))) {
  const name = /Depends: (linux-image-\S+)/.exec(run('apt-cache', ['depends', 'linux-image-cloud-amd64']))[1];
  run('apt-get', ['download', name]);
  const file = readdirSync(folder).find((entry) => entry.startsWith(name));
  run('dpkg-deb', ['-x', file, 'kernel']);
  const image = readdirSync(join(folder, 'kernel', 'boot')).find((entry) => entry.startsWith('vmlinuz'));
  copyFileSync(join(folder, 'kernel', 'boot', image), join(folder, 'iso', 'vmlinuz'));
}

// The unit tests and what starts them, without shared libraries.
const kernels = join(root, 'build', 'Release');
run('cmake', [
  ...['-S', join(root, 'native'), '-B', 'tests', '-DCMAKE_BUILD_TYPE=Release', '-DCMAKE_EXE_LINKER_FLAGS=-static'],
  ...(existsSync(join(kernels, 'kernels_avx512.a')) ? [`-DSCHUSS_KERNELS=${kernels}`] : []),
]);
run('cmake', ['--build', 'tests', '--target', 'unit_tests', '--parallel']);
copyFileSync(join(folder, 'tests', 'unit_tests'), join(folder, 'initrd', 'unit_tests'));
run('g++', ['-O1', '-static', '-o', 'initrd/init', join(root, 'native', 'test', 'emulated', 'init.cpp')]);
if (!existsSync(join(folder, 'initrd', 'dev', 'console'))) run('mknod', ['initrd/dev/console', 'c', '5', '1']);
run('sh', ['-c', 'cd initrd && find . | cpio --quiet -o -H newc | gzip -1 >../iso/initrd.gz']);

// The machine. Bochs's XSAVES reports a size that Linux refuses, and Linux then turns AVX off: bits 321 (xsavec) and 323
// (xsaves), and 515 (pku), whose place it also has wrong.
const cleared = 'clearcpuid=515,323,321';
copyFileSync(isolinux, join(folder, 'iso', 'isolinux', 'isolinux.bin'));
copyFileSync('/usr/lib/syslinux/modules/bios/ldlinux.c32', join(folder, 'iso', 'isolinux', 'ldlinux.c32'));
writeFileSync(
  join(folder, 'iso', 'isolinux', 'isolinux.cfg'),
  `DEFAULT linux\nLABEL linux\n  KERNEL /vmlinuz\n  APPEND initrd=/initrd.gz console=ttyS0 mitigations=off panic=-1 loglevel=4 ${cleared}\n`,
);
const boot = ['-b', 'isolinux/isolinux.bin', '-c', 'isolinux/boot.cat', '-no-emul-boot', '-boot-load-size', '4'];
run('xorriso', ['-as', 'mkisofs', '-o', 'boot.iso', ...boot, '-boot-info-table', 'iso']);
writeFileSync(
  join(folder, 'bochsrc'),
  `config_interface: textconfig
display_library: term
megs: 1024
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path=boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial.out
log: bochs.log
clock: sync=none
`,
);
writeFileSync(join(folder, 'commands'), 'c\n'); // Debian's Bochs waits in its debugger
const serial = join(folder, 'serial.out');
rmSync(serial, { force: true });

// Bochs wants a terminal.
const bochs = spawn('script', ['-qec', 'env TERM=vt100 bochs-bin -q -f bochsrc -rc commands', 'terminal.out'], {
  cwd: folder,
  stdio: 'ignore',
  detached: true,
});
const begun = Date.now();
let printed = 0;
const watching = setInterval(() => {
  const text = existsSync(serial) ? readFileSync(serial, 'latin1').replaceAll('\r', '') : '';
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  const told = lines.filter((line) => /^(instruction sets|ok|FAILED|\d+ tests|unit tests|\S+\.cpp:\d+)/.test(line));
  for (const line of told.slice(printed)) console.log(line);
  printed = told.length;
  const ended = /^unit tests ended with (\d+)$/m.exec(text)?.[1];
  if (ended === undefined && bochs.exitCode === null && Date.now() - begun < limit) return;
  clearInterval(watching);
  try {
    process.kill(-bochs.pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
  if (ended === undefined) console.log(`the emulated machine did not get to the end: see ${folder}`);
  const hasAvx512 = /^instruction sets: avx512 /m.test(text);
  if (!hasAvx512) console.log('the emulated machine has no AVX-512');
  process.exitCode = ended === '0' && hasAvx512 ? 0 : 1;
}, 1000);
