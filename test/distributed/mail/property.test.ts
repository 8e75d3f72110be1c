// Messages between ranks: whole, in order, and none between others.
import { expect, test } from 'vitest';
import { RankError } from '../../../lib/distributed/errors.js';
import { Mailbox } from '../../../lib/distributed/threads/mailbox.js';
import { ringBytes } from '../../../lib/distributed/threads/post.js';
import { Rendezvous } from '../../../lib/distributed/threads/rendezvous.js';
import { createShared, Shared } from '../../../lib/distributed/threads/shared.js';
import { Channel } from '../../../lib/distributed/world/channel.js';
import { numbers, random } from '../../support/random.js';

function mailboxes(size: number): { boxes: Mailbox[]; shared: Shared; rendezvous: Rendezvous } {
  const buffers = createShared(size);
  const boxes = Array.from({ length: size }, (_, rank) => {
    const own = new Shared(buffers);
    return new Mailbox(own, new Rendezvous(own), rank);
  });
  const shared = new Shared(buffers);
  return { boxes, shared, rendezvous: new Rendezvous(shared) };
}

test('messages of any length arrive in order, whoever is faster', async () => {
  const size = 3;
  const count = 20;
  const { boxes } = mailboxes(size);
  const floats = ringBytes / 4;
  const sizes = [0, 1, 7, 1000, floats - 9, floats - 6, floats, floats + 1, 3 * floats + 5];
  const message = (from: number, to: number, n: number) => {
    const next = random(1000 * from + 100 * to + n);
    const [a, b] = [sizes[Math.floor(next() * sizes.length)]!, sizes[Math.floor(next() * 4)]!];
    const list = Array.from({ length: Math.floor(next() * 4) }, next);
    return { kind: n, list, data: [numbers(a, n), numbers(b, n + 1)] };
  };
  const pairs = [0, 1, 2].flatMap((from) => [0, 1, 2].map((to) => [from, to] as const));
  const send = pairs.map(async ([from, to]) => {
    const next = random(from + 10 * to);
    for (let n = 0; n < count; n++) {
      const { kind, list, data } = message(from, to, n);
      boxes[from]!.send(to, kind, list, data);
      for (const array of data) array.fill(Number.NaN); // it may be changed at once
      if (next() < 0.3) await boxes[from]!.handedOver(to);
    }
  });
  const receive = pairs.map(async ([from, to]) => {
    const next = random(from + 20 * to);
    for (let n = 0; n < count; n++) {
      if (next() < 0.3) await new Promise(setImmediate);
      const letter = await boxes[to]!.receive(from);
      const { kind, list, data } = message(from, to, n);
      expect([letter?.kind, letter?.numbers]).toEqual([kind, list]);
      const sent = Buffer.concat(data.map(({ buffer }) => Buffer.from(buffer as ArrayBuffer)));
      expect(Buffer.compare(letter!.data, sent)).toBe(0);
    }
  });
  await Promise.all([...send, ...receive]);
});

test('what a lost rank has sent whole arrives, then undefined; what is for it is dropped', async () => {
  const { boxes, shared } = mailboxes(2);
  boxes[1]!.send(0, 7, [1], []);
  boxes[0]!.send(1, 1, [], [new Float32Array(ringBytes)]);
  const isHandedOver = boxes[0]!.handedOver(1);
  shared.setLost(1, 3);
  shared.letters.ringAll();
  expect(await boxes[0]!.receive(1)).toMatchObject({ kind: 7, numbers: [1] });
  expect(await boxes[0]!.receive(1)).toBe(undefined);
  await isHandedOver;
  boxes[0]!.send(1, 1, [], [new Float32Array(ringBytes)]);
  await boxes[0]!.handedOver(1);
});

test('a broken world rejects whoever waits', async () => {
  const { boxes, rendezvous } = mailboxes(2);
  const waiting = expect(boxes[0]!.receive(1)).rejects.toThrow(new RankError({ rank: 1, reason: 'on purpose' }));
  rendezvous.break({ rank: 1, reason: 'on purpose' });
  await waiting;
  expect(() => boxes[1]!.send(0, 1, [], [])).toThrow('on purpose');
  await expect(boxes[1]!.receive(0)).rejects.toThrow('on purpose');
});

test('a second receive from a rank rejects, and the first one gets the message', async () => {
  const { boxes } = mailboxes(2);
  const first = boxes[0]!.receive(1);
  await expect(boxes[0]!.receive(1)).rejects.toThrow('World: a second receive from rank 1, expected one at a time');
  boxes[1]!.send(0, 5, [], []);
  expect(await first).toMatchObject({ kind: 5 });
});

test('channels of one mail get their own messages, in order, whoever waits first', async () => {
  const { boxes } = mailboxes(2);
  const [mine, theirs] = boxes.map((box) => [Channel.first(box), Channel.open(box), Channel.open(box)]);
  const next = random(1);
  const count = 40;
  const receive = mine!.map(async (channel, c) => {
    for (let n = 0; n < count; n++) {
      if (next() < 0.5) await new Promise(setImmediate);
      const letter = (await channel.receive(1))!;
      await new Promise(setImmediate); // others receive meanwhile
      expect([letter.kind, letter.numbers]).toEqual([(n + c) % 16, [c, n]]);
      expect(letter.data).toEqual(new Uint8Array(n).fill(c));
    }
  });
  const left = [0, 0, 0];
  while (left.some((n) => n < count)) {
    const c = Math.floor(next() * 3);
    const n = left[c]!;
    if (n === count) continue;
    theirs![c]!.send(0, (n + c) % 16, [c, n], [new Uint8Array(n).fill(c)]);
    left[c]!++;
    if (next() < 0.3) await new Promise(setImmediate);
  }
  await Promise.all(receive);
});

test('a lost rank and a broken world end the waits of all channels', async () => {
  const { boxes, shared, rendezvous } = mailboxes(3);
  const channels = [Channel.open(boxes[0]!), Channel.open(boxes[0]!)];
  const fromLost = channels.map((channel) => channel.receive(1));
  shared.setLost(1, 3);
  shared.letters.ringAll();
  expect(await Promise.all(fromLost)).toEqual([undefined, undefined]);
  const waits = channels.map((channel) => expect(channel.receive(2)).rejects.toThrow('on purpose'));
  rendezvous.break({ rank: 2, reason: 'on purpose' });
  await Promise.all(waits);
});
