// Two hosts on one machine, whose ranks have TCP only.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Mpi, withoutMpi } from './mpi-job.js';
import { root } from './root.js';

const script = join(root, 'test', 'support', 'two-hosts.sh');
const network = '10.77.0.0/24';
const addresses = ['10.77.0.1', '10.77.0.2'];

/** Words before a command on the first of two hosts, or why there are none. Without root there may be namespaces of a user. */
function findHosts(): readonly string[] | string {
  const options = ['-m', '-n', '-u', '-p', '--mount-proc', '--kill-child'];
  const reasons = [options, ['-r', ...options]].map((each) => {
    const words = ['unshare', ...each, script, 'up'];
    const { status, stderr, error } = spawnSync(words[0]!, [...words.slice(1), 'true'], { encoding: 'utf8' });
    return status === 0 ? words : (error?.message ?? stderr.trim().split('\n').join('; '));
  });
  return reasons.find((words) => typeof words !== 'string') ?? `no network namespaces here: ${reasons.join(' / ')}`;
}

const found = withoutMpi === '' ? findHosts() : withoutMpi.replace('SKIPPED: ', '');

/** Why there are no two hosts, or nothing. */
export const withoutHosts = typeof found === 'string' ? `SKIPPED: ${found}` : '';

if (withoutHosts !== '' && withoutMpi === '') console.warn(withoutHosts);

/** The launcher of one rank a host. */
export function twoHosts({ name, mpirun }: Mpi): readonly string[] {
  if (name === 'MPICH')
    return [
      ...found,
      ...[mpirun, '-hosts', addresses.join(), '-localhost', addresses[0]!],
      ...[
        '-launcher',
        'rsh',
        '-launcher-exec',
        script,
        '-genv',
        'UCX_TLS',
        'tcp,self',
        '-genv',
        'UCX_NET_DEVICES',
        'hosts',
      ],
    ];
  return [
    ...found,
    ...[mpirun, '--host', addresses.map((address) => `${address}:1`).join(), '--bind-to', 'none'],
    ...['--mca', 'plm_rsh_agent', script, '--mca', 'pml', 'ob1', '--mca', 'btl', 'tcp,self'],
    ...['--mca', 'btl_tcp_if_include', network, '--mca', 'oob_tcp_if_include', network],
  ];
}
