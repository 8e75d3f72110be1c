// Messages between processes: whole, in order, and none between others.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { joined } from '../../../support/job.js';
import { mpi, mpiJob, withoutMpi } from '../../../support/mpi-job.js';
import { root } from '../../../support/root.js';

const begin = `
  import module from '${pathToFileURL(join(root, 'dist', 'distributed', 'world', 'own-world.js')).href}';
  ${joined}
  const { rank, size } = world;
  const { mail } = module.OwnWorld.transportOf(world);
`;

describe.skipIf(mpi === undefined)(`mail under MPI ${withoutMpi}`, () => {
  test('messages of any length arrive in order, whoever is faster, beside collectives', async () => {
    const code = `${begin}
      const generator = (seed) => () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
      const piece = 1 << 20; // floats
      const lengths = [0, 1, 7, 1000, 100_000, piece - 4, piece, piece + 1, 2 * piece + 5];
      const message = (from, to, n) => {
        const next = generator(1000 * from + 100 * to + n);
        for (let i = 0; i < 3; i++) next();
        const [a, b] = [lengths[Math.floor(next() * lengths.length)], Math.floor(next() * 4)];
        const numbers = Array.from({ length: Math.floor(next() * 4) }, next);
        const data = [a, b].map((length) => new Float32Array(length).fill(next()));
        for (let i = 0; i < a; i += 1 + (a >> 4)) data[0][i] = next();
        data.push(new Uint8Array(n % 3).fill(n));
        return { numbers, data };
      };
      const count = 12;
      const ranks = Array.from({ length: size }, (_, r) => r);
      const send = ranks.map(async (to) => {
        for (let n = 0; n < count; n++) {
          const { numbers, data } = message(rank, to, n);
          mail.send(to, n, numbers, data);
          for (const array of data) array.fill(77); // it may be changed at once
          if (Math.random() < 0.3) await mail.handedOver(to);
        }
        await mail.handedOver(to);
      });
      let same = 0;
      const receive = ranks.map(async (from) => {
        for (let n = 0; n < count; n++) {
          if (Math.random() < 0.3) await sleep(3 * Math.random());
          const letter = await mail.receive(from);
          const { numbers, data } = message(from, rank, n);
          const sent = Buffer.concat(data.map(({ buffer }) => Buffer.from(buffer)));
          const isSame = JSON.stringify([letter.kind, letter.numbers]) === JSON.stringify([n, numbers]);
          if (isSame && Buffer.compare(letter.data, sent) === 0 && letter.data.byteOffset % 8 === 0) same++;
        }
      });
      const collectives = (async () => {
        for (let i = 0; i < 30; i++) {
          const [sum] = await world.allReduce(new Float32Array(i * i).fill(1));
          if (sum === size) same++;
        }
      })();
      await Promise.all([...send, ...receive, collectives]);
      say([same, count * size + 29]);
      await world.close();`;
    const { said, status, err } = await mpiJob(3, code);
    expect([status, err]).toEqual([0, '']);
    for (const [result] of said) expect(result).toEqual([65, 65]);
  });

  test('memory of messages that have arrived is freed', async () => {
    const code = `${begin}
      const x = new Float32Array(1e6);
      let most = 0;
      for (let i = 0; i < 200; i++) {
        if (rank === 0) {
          mail.send(1, i, [], [x]);
          if (i % 5 === 4) await mail.handedOver(1);
        } else await mail.receive(0);
        if (i >= 20) most = Math.max(most, process.memoryUsage().rss);
        if (i === 20) say(process.memoryUsage().rss);
      }
      say(most);
      await world.close();`;
    const { said, status } = await mpiJob(2, code);
    expect(status).toBe(0);
    // 800 MB have passed.
    for (const [early, most] of said as [number, number][]) expect(most - early).toBeLessThan(200e6);
  });

  test('a world closes though messages are under way that nobody expects', async () => {
    const code = `${begin}
      for (let to = 0; to < size; to++) for (let n = 0; n < 3; n++) mail.send(to, n, [], [new Float32Array(3e6)]);
      if (rank === 0) await mail.receive(1);
      const waiting = mail.receive((rank + 1) % size); // it is not awaited
      waiting.catch(() => {});
      await world.close();
      say('closed');`;
    const { said, status, err } = await mpiJob(3, code);
    expect([status, err]).toEqual([0, '']);
    expect(said).toEqual([['closed'], ['closed'], ['closed']]);
  });

  test('a broken world rejects whoever waits, on all ranks', async () => {
    const code = `${begin}
      await world.barrier();
      const waits = [mail.receive((rank + 1) % size), attempt(() => world.barrier())];
      if (rank === 0) {
        mail.send(1, 9, [], [new Float32Array(1e6)]);
        waits.push(mail.handedOver(1));
        mail.giveUp('enough', [2]);
      }
      const errors = await Promise.all(waits.map((wait) => wait.catch((error) => [error.message, error.ranks])));
      say([errors[0], await attempt(() => mail.send(1, 1, [], [])), await attempt(() => mail.receive(1))]);
      await allSaid();`;
    const { said, status } = await mpiJob(3, code);
    const expected = [['enough', [2]], 'TimeoutError: enough', 'TimeoutError: enough'];
    expect(said).toEqual([[expected], [expected], [expected]]);
    expect(status).toBe(71);
  });

  test('waiting takes little of a core', async () => {
    const code = `${begin}
      await world.barrier();
      if (rank === 0) await sleep(4000);
      const begun = process.cpuUsage();
      if (rank === 0) mail.send(1, 0, [], []);
      else await mail.receive(0);
      const { user, system } = process.cpuUsage(begun);
      say((user + system) / 1e6);
      await world.close();`;
    const { said, status } = await mpiJob(2, code);
    expect(status).toBe(0);
    expect(said[1]![0]).toBeLessThan(2); // of 4 s
  });
});
