// Portions by messages: what rank 0 awaits, whom it blames, and two sums over one mail. Other ranks are played by hand.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MailedPortions } from '../../../../lib/distributed/sandblaster/mailed-portions.js';
import { Turns } from '../../../../lib/distributed/sandblaster/turns.js';
import { Channel } from '../../../../lib/distributed/world/channel.js';
import { OwnWorld } from '../../../../lib/distributed/world/own-world.js';
import type { Mail } from '../../../../lib/distributed/world/transport.js';
import type { World } from '../../../../lib/distributed/world/world.js';
import { onRanks, worldsOf } from '../../../support/distributed/worlds.js';

/** Messages that a player needs. */
const Kind = { here: 1, total: 4, failed: 5, bye: 6 } as const;

const mailOf = (world: World): Mail => OwnWorld.transportOf(world)!.mail!;
const sumOf = (world: World, portions: number, mail = mailOf(world)): MailedPortions =>
  new MailedPortions(world, mail, portions, 1, new Turns());

function busy(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

test('rank 0 awaits nothing more of a rank on which f threw after its portion was dealt again', async () => {
  const [world, other] = worldsOf(2) as [World, World];
  const mail = mailOf(world);
  let awaited = 0;
  const watched: Mail = Object.create(mail, {
    receive: {
      value: async (from: number) => {
        awaited++;
        const letter = await mail.receive(from);
        awaited--;
        return letter;
      },
    },
    ...Object.fromEntries(
      (['send', 'giveUp'] as const).map((name) => [name, { value: (mail[name] as () => void).bind(mail) }]),
    ),
  });
  const sum = sumOf(world, 4, watched);
  const evaluate = (): Promise<number> => sum.evaluate((portion) => portion, new Float32Array(1));
  const player = Channel.open(mailOf(other));
  player.send(0, Kind.here, [0], []);
  expect(await evaluate()).toBe(6);
  const next = evaluate().catch(String);
  player.send(0, Kind.failed, [0, 1], []);
  for (let kind = 0; kind !== Kind.total; ) kind = (await player.receive(0))!.kind;
  player.send(0, Kind.bye, [0], []);
  await next;
  await expect(evaluate()).rejects.toThrow('f threw on rank 1');
  await turn();
  expect(awaited).toBe(0);
});

test('TimeoutError names the ranks that got a late portion while rank 0 waited, too', async () => {
  const [world, ...others] = worldsOf(3, 500) as [World, World, World];
  const players = others.map((other) => Channel.open(mailOf(other)));
  const sum = sumOf(world, 2);
  const error = sum.evaluate((portion) => {
    // They come while rank 0 computes its portion: rank 1 gets the other one, and rank 2 gets it when it is late.
    for (const player of players) player.send(0, Kind.here, [0], []);
    busy(20);
    return portion;
  }, new Float32Array(1));
  await expect(error).rejects.toMatchObject({ name: 'TimeoutError', ranks: [1, 2] });
});

test('two sums over one mail take no messages of each other', { timeout: 20_000 }, async () => {
  const evaluations = 30;
  const portions = (e: number): number => (e % 2 === 0 ? 7 : 5);
  const runs = await onRanks(3, async (world) => {
    const sums = [0, 1].map((e) => sumOf(world, portions(e)));
    const seen: number[] = [];
    for (let e = 0; e < evaluations; e++) {
      // It comes late: rank 0 has begun the next sum, and still awaits the end of this one.
      if ((e + world.rank) % 3 === 0) await sleep(2);
      const grad = new Float32Array(1);
      const loss = await sums[e % 2]!.evaluate((portion, out) => {
        out[0] = portion + e;
        return portion * e;
      }, grad);
      seen.push(loss, grad[0]!);
    }
    return seen;
  });
  const truth = Array.from({ length: evaluations }, (_, e) => {
    const all = (portions(e) * (portions(e) - 1)) / 2;
    return [all * e, all + portions(e) * e];
  });
  for (const seen of runs) expect(seen).toEqual(truth.flat());
});
