import { once } from 'node:events';
import { startWorker } from '../common/start-worker.js';
import type { Contender } from './alternate.js';
import type { Case } from './cases.js';

/** A request to the worker: to step the optimizer of a class in `casesOf`, or to make one. */
export type Question = { readonly label: string; readonly n: number } | { readonly steps: number };

/**
 * The library on its JavaScript backend. The backend is chosen once for each thread, by the environment, so it runs in a
 * worker thread that measures its own steps.
 */
export class JsBackend {
  readonly #worker = startWorker(new URL('./js-backend-worker.ts', import.meta.url), {
    env: { ...process.env, SCHUSS_BACKEND: 'js', SCHUSS_ISA: '' },
  });

  async #ask(question: Question): Promise<number> {
    this.#worker.postMessage(question);
    const [seconds] = (await once(this.#worker, 'message')) as [number];
    return seconds;
  }

  /** An optimizer of one param of n elements. It replaces the one before. */
  async contender(name: string, { label }: Case, n: number): Promise<Contender> {
    await this.#ask({ label, n });
    return { name, run: (steps) => this.#ask({ steps }) };
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
