import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { allocate, setThreads } from '../../lib/engine/backend.js';
import { Adam } from '../../lib/optimizers/index.js';
import type { Context } from './context.js';
import type { EventLoop, Measured } from './results.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

const resolution = 1;

/** How late timers are while `action` runs. */
async function delayDuring(action: () => Promise<unknown>): Promise<EventLoop['delayMs']> {
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  await action();
  histogram.disable();
  // What is recorded is the time between two timers, that which they are set to included.
  const late = (nanoseconds: number): number => Number(Math.max(0, nanoseconds / 1e6 - resolution).toFixed(3));
  return { p50: late(histogram.percentile(50)), p99: late(histogram.percentile(99)), max: late(histogram.max) };
}

/** How free the event loop is while `stepAsync` steps. */
export async function eventLoop({ settings, say }: Context): Promise<Measured<EventLoop>> {
  const n = settings.special.eventLoop;
  say(`stepAsync, n = ${n}`);
  try {
    checkMemory(n, 4);
    // Every core at work is the hardest case, and the default.
    setThreads(Math.max(...settings.threads));
    const adam = new Adam(fillStart(allocate(n)));
    const grads = fillGrads(allocate(n));
    await adam.stepAsync(grads);
    const steps = 10;
    const start = performance.now();
    const delayMs = await delayDuring(async () => {
      for (let i = 0; i < steps; i++) await adam.stepAsync(grads);
    });
    const msPerStep = Number(((performance.now() - start) / steps).toFixed(2));
    const idleDelayMs = await delayDuring(() => sleep(Math.max(100, steps * msPerStep)));
    adam.dispose();
    return { n, steps, msPerStep, delayMs, idleDelayMs };
  } catch (error) {
    return { skipped: (error as Error).message };
  } finally {
    setThreads(1);
  }
}
