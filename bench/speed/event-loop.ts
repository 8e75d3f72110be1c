import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { collect } from '../common/collect.js';
import { Adam, allocate, setThreads } from '../common/schuss.js';
import type { Context } from './context.js';
import type { EventLoop, Measured } from './results.js';
import { checkMemory, fillGrads, fillStart } from './task.js';

const resolution = 1;

/** The delay of timers while `action` runs. */
async function delayDuring(action: () => Promise<unknown>): Promise<EventLoop['delayMs']> {
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  await action();
  histogram.disable();
  // The histogram records the time between two timers, which includes the interval itself.
  const late = (nanoseconds: number): number => Number(Math.max(0, nanoseconds / 1e6 - resolution).toFixed(3));
  return { p50: late(histogram.percentile(50)), p99: late(histogram.percentile(99)), max: late(histogram.max) };
}

/** The delay of the event loop while `stepAsync` runs. */
export async function eventLoop({ settings, say }: Context): Promise<Measured<EventLoop>> {
  const n = settings.special.eventLoop;
  say(`stepAsync, n = ${n}`);
  try {
    await collect();
    checkMemory(n, 4);
    // All cores busy is the hardest case, and the default.
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
