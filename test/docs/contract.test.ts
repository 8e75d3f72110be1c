// The FAQ's error messages are those that the library throws.
import { describe, expect, test } from 'vitest';
import { Adam, cosine, LAMB, minimize, PolyakSGD, ScheduleFreeSGD, SGD } from '../../lib/index.js';
import { wrap } from '../../lib/tfjs/index.js';
import { read } from '../support/root.js';

const array = (length: number): Float32Array => new Float32Array(length);
// biome-ignore lint/suspicious/noExplicitAny: wrong arguments, which the types refuse
const wrong = (value: unknown): any => value;

const causes: readonly (() => unknown)[] = [
  () => new Adam(wrong(new Float64Array(3))),
  () => new Adam(array(3), wrong({ lrr: 1 })),
  () => new SGD(array(3), wrong({})),
  () => new Adam({ w: array(3) }).step(wrong({})),
  () => new Adam({ w: array(3) }).step(wrong({ w: array(3), b: null })),
  () => new Adam({ w: array(3) }).step({ w: array(4) }),
  () => {
    const w = array(3);
    new Adam(w).step(w);
  },
  () => {
    const w = array(3);
    new Adam([w, w.subarray(1)]);
  },
  () => {
    const adam = new Adam(array(3));
    adam.dispose();
    adam.step(array(3));
  },
  () => {
    const w = array(3);
    const adam = new Adam(w);
    structuredClone(w.buffer, { transfer: [w.buffer as ArrayBuffer] });
    adam.step(array(3));
  },
  () => new Adam(array(3)).stepAsync(array(3)),
  () => new Adam(wrong([{ params: array(2), clipNorm: 1 }])),
  () => {
    const free = new ScheduleFreeSGD(array(2));
    free.eval();
    free.step(array(2));
  },
  () => new LAMB({ data: array(4), shape: [2, 2] }).step({ rows: Int32Array.of(0), values: array(2) }),
  () => new PolyakSGD(array(2)).step(array(2), wrong(undefined)),
  () => new Adam(array(2)).loadStateDict(new Adam(array(2), { lr: cosine(1, { steps: 3 }) }).stateDict()),
  () => new Adam(array(3)).loadStateDict(new SGD(array(3), { lr: 1 }).stateDict()),
  () => wrap(SGD, { lr: 1 }).optimizer,
  () => minimize(() => 1, Float64Array.of(1)),
];

describe('the FAQ', () => {
  const rows = [...read('docs', 'guide', 'faq.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, message]) => message!);

  test('has a row for each cause', () => expect(rows.length).toBe(causes.length));

  test.each(rows.map((message, i) => [message, causes[i]!] as const))('%s', async (message, cause) => {
    const error = await Promise.resolve()
      .then(cause)
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect((error as Error | undefined)?.message).toContain(message.replace(' …', ''));
  });
});
