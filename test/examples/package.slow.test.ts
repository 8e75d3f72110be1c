// The programs of examples/, run as their first lines say.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { launch } from '../support/job.js';

const root = join(__dirname, '..', '..');
const examples = join(root, 'examples');
const folder = mkdtempSync(join(tmpdir(), 'schuss-programs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

function start(program: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(examples, program)], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, ended, output: () => output };
}

async function run(program: string): Promise<string> {
  const { ended, output } = start(program);
  expect(await ended, output()).toBe(0);
  return output();
}

const numberAfter = (text: string, what: string): number =>
  Number(new RegExp(`${what} (\\d+(?:\\.\\d+)?)`).exec(text.trim().split('\n').at(-1) as string)?.[1]);

test('typed-arrays: the arms of the spiral are told apart', async () => {
  expect(numberAfter(await run('typed-arrays.mts'), 'accuracy')).toBeGreaterThan(0.97);
});

test('recommender: the liked items are told apart, up to the noise', async () => {
  expect(numberAfter(await run('recommender.mts'), 'accuracy')).toBeGreaterThan(0.9);
});

test('workers: the loss falls to less than a quarter of chance', async () => {
  expect(numberAfter(await run('workers.mjs'), 'loss')).toBeLessThan(Math.LN2 / 4);
});

test('distributed/downpour: one worker is slow, one dies, and the plane is found', async () => {
  const output = await run('distributed/downpour.mjs');
  expect(output).toContain('schuss launch: rank 3 was lost: exit code 3');
  expect(output).toMatch(/\[0\] 269 pushes, .*; lost workers: 3\n/); // 200, 20 and 49
  expect(Number(/\[0\] accuracy (\S+)/.exec(output)?.[1])).toBeGreaterThan(0.8);
});
test('distributed/sharded: a run in which a rank fails has the params of one in which none does', async () => {
  const file = join(examples, 'distributed', 'sharded.mjs');
  const place = mkdtempSync(join(tmpdir(), 'schuss-sharded-'));
  const run = async (name: string, ...more: string[]): Promise<string> => {
    const { status, out, err } = await launch(['-n', '2', '--restart', '1', file, join(place, name), ...more]);
    expect(status, err).toBe(0);
    return out;
  };
  const [whole, failed] = [await run('whole'), await run('failed', '--fail-at', '25')];
  expect(whole).not.toContain('resumed');
  expect(failed).toContain('resumed at step 20');
  const digest = /params [0-9a-f]{16}/;
  expect(digest.exec(failed)?.[0]).toBe(digest.exec(whole)?.[0] as string);
  rmSync(place, { recursive: true });
  expect(numberAfter(whole, 'loss')).toBeLessThan(0.4);
}, 120_000);

test('ensemble: the average and the student are better than the mean member', async () => {
  const output = await run('ensemble.mts');
  const averaged = Number(/average of the probabilities (\S+)/.exec(output)?.[1]);
  const [mean, student] = [numberAfter(output, 'mean member'), numberAfter(output, 'student')];
  expect(averaged).toBeGreaterThan(mean + 0.02);
  expect(student).toBeGreaterThan(mean + 0.01);
});

test('curve-fit: the five numbers are found', async () => {
  const output = await run('curve-fit.mts');
  expect(output).toContain('found 2.00, 0.30, 2.50, 0.40, 1.00');
  expect(Number(/differs from differences by (\S+)/.exec(output)?.[1])).toBeLessThan(1e-6);
});

test('autoencoder: Hessian-free optimization ends below SGD with momentum', async () => {
  const output = await run('autoencoder.mts');
  const [first, hessianFree, sgd] = [...output.matchAll(/: loss (\S+?),/g)].map(([, loss]) => Number(loss));
  expect(hessianFree, output).toBeLessThan(sgd!);
  expect(hessianFree, output).toBeLessThan(first! / 4);
});

test('tensorflow: the circle is found with our optimizer, and by the patched program', async () => {
  const output = await run('tensorflow.mts');
  for (const what of ['adamW', 'patched'])
    expect(Number(new RegExp(`${what}: accuracy (\\S+)`).exec(output)?.[1]), output).toBeGreaterThan(0.9);
});

test('each program is in the list and is run here', () => {
  const list = readFileSync(join(examples, 'README.md'), 'utf8');
  const tests =
    readFileSync(__filename, 'utf8') +
    readFileSync(join(root, 'test', 'checkpoint', 'example', 'package.slow.test.ts'), 'utf8');
  for (const name of readdirSync(examples).filter((file) => /\.m[jt]s$/.test(file) && file !== 'network.mts')) {
    expect(list).toContain(`(${name})`);
    expect(tests).toContain(name);
    const text = readFileSync(join(examples, name), 'utf8');
    expect(text, name).toMatch(/^\/\/ [A-Z][\s\S]*\n\/\/\n\/\/ (npx tsx|node) examples\//);
  }
});

test('jax: the polynomial is found', async () => {
  expect(await run('jax.mts')).toContain('found 0.500, -2.000, 0.000, 3.000');
});

test('brain: parity is learnt', async () => {
  expect(numberAfter(await run('brain.mts'), 'accuracy')).toBeGreaterThan(0.9);
});

test('learning-server: a line is learnt from requests, and a bad one changes nothing', async () => {
  const server = start('learning-server.mjs', { PORT: '0' });
  const url = await new Promise<string>((resolve, reject) => {
    server.child.stdout.on('data', () => {
      const found = /listening on (\S+)/.exec(server.output())?.[1];
      if (found !== undefined) resolve(found);
    });
    void server.ended.then(() => reject(new Error(server.output())));
  });
  for (let i = 0; i < 1000; i++) {
    const x = (i % 5) - 2;
    await (await fetch(`${url}/learn?x=${x}&y=${2 * x + 1}`)).text();
  }
  for (const bad of ['x=1', 'x=a&y=1']) expect((await fetch(`${url}/learn?${bad}`)).status).toBe(400);
  const { prediction, steps } = (await (await fetch(`${url}/predict?x=3`)).json()) as Record<string, number>;
  expect(steps).toBe(1000);
  expect(prediction).toBeCloseTo(7, 1);
  server.child.kill('SIGKILL');
  await server.ended;
}, 60_000);

test('learning-worker: the main thread answers from what the worker has published, and a second run resumes', async () => {
  const place = mkdtempSync(join(tmpdir(), 'schuss-clicks-'));
  const env = { STATE: join(place, 'clicks.safetensors') };
  const outputs: string[] = [];
  for (let run = 0; run < 2; run++) {
    const { ended, output } = start('learning-worker.mjs', env);
    expect(await ended, output()).toBe(0);
    outputs.push(output());
    expect(numberAfter(output(), 'accuracy')).toBeGreaterThan(0.95);
  }
  rmSync(place, { recursive: true });
  const steps = /(\d+) steps/.exec(outputs[0]!)?.[1];
  expect(outputs[0]).toContain('a new model');
  expect(outputs[1]).toContain(`resumed at step ${steps}\n`);
}, 60_000);

describe('online-server', () => {
  const state = join(folder, 'recommender.state');
  const sizes = { USERS: '200', ITEMS: '100' };

  async function serve(env: Record<string, string> = {}) {
    const server = start('online-server/server.mts', { PORT: '0', STATE: state, ...sizes, ...env });
    const url = await new Promise<string>((resolve, reject) => {
      server.child.stdout.on('data', () => {
        const found = /listening on (\S+)/.exec(server.output())?.[1];
        if (found !== undefined) resolve(found);
      });
      void server.ended.then(() => reject(new Error(server.output())));
    });
    // biome-ignore lint/suspicious/noExplicitAny: what a server says
    const get = async (path: string): Promise<any> => (await fetch(`${url}${path}`)).json();
    const post = (events: unknown) =>
      fetch(`${url}/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(events),
      });
    const stop = async (): Promise<number | null> => {
      server.child.kill('SIGTERM');
      return server.ended;
    };
    return { get, post, stop, output: server.output };
  }

  /** Users like the items of their own parity. */
  const events = Array.from({ length: 10_000 }, (_, n) => {
    const pair = (n * 7919) % 20_000; // half of all pairs, mixed
    const [user, item] = [pair % 200, Math.floor(pair / 200)];
    return { user, item, clicked: (user - item) % 2 === 0 };
  });

  test('learns while it serves, stops gracefully, and goes on from where it was', async () => {
    const first = await serve();
    const untrained = await first.get('/stats');
    expect(untrained).toMatchObject({ steps: 0, queued: 0 });
    const rounds = 6;
    let served = 0;
    for (let round = 0; round < rounds; round++) {
      expect((await first.post(events)).status).toBe(202);
      do {
        const { score } = await first.get('/score?user=3&item=5');
        expect(score).toBeGreaterThan(0);
        expect(score).toBeLessThan(1);
        served++;
      } while ((await first.get('/stats')).learning);
    }
    expect(served).toBeGreaterThanOrEqual(rounds);
    const trained = await first.get('/stats');
    expect(trained.steps).toBe(rounds * Math.ceil(events.length / 256));
    expect(trained.logLoss).toBeLessThan(0.2);
    let right = 0;
    for (let user = 0; user < 20; user++) {
      const liked = await first.get(`/recommend?user=${user}&count=50`);
      right += liked.filter(({ item }: { item: number }) => (user - item) % 2 === 0).length;
    }
    expect(right / (20 * 50)).toBeGreaterThan(0.9);

    // What was queued is learnt before it ends.
    expect((await first.post(events.slice(0, 1000))).status).toBe(202);
    expect(await first.stop(), first.output()).toBe(0);
    expect(readdirSync(folder)).toEqual(['recommender.state']);

    const second = await serve();
    const resumed = await second.get('/stats');
    expect(resumed.steps).toBe(trained.steps + 4);
    expect(await second.get('/recommend?user=3&count=5')).toHaveLength(5);
    const before = await second.get('/recommend?user=3&count=100');
    expect(await second.stop(), second.output()).toBe(0);
    const third = await serve();
    expect(await third.get('/recommend?user=3&count=100')).toEqual(before);
    expect(await third.stop()).toBe(0);
  });

  test('bad requests change nothing, and a state of other sizes or a broken one is refused', async () => {
    const server = await serve();
    const before = await server.get('/stats');
    for (const bad of [
      [{ user: -1, item: 0, clicked: true }],
      [{ user: 0, item: 100, clicked: true }],
      [{ user: 0, item: 0 }],
      { user: 0 },
    ]) {
      expect((await server.post(bad)).status).toBe(400);
    }
    expect((await server.post([...events, ...events, events[0]])).status).toBe(400);
    expect(await server.get('/stats')).toEqual(before);
    expect(await server.stop()).toBe(0);

    await expect(serve({ USERS: '201' })).rejects.toThrow('param "users": shape [200, 16], expected [201, 16]');
    const whole = readFileSync(state);
    writeFileSync(state, whole.subarray(0, statSync(state).size / 2));
    await expect(serve()).rejects.toThrow('the file is damaged');
    writeFileSync(state, whole);
  });
});
