import type { Settings } from './settings.js';

/** What every section of the benchmark receives. */
export interface Context {
  readonly settings: Settings;
  /** Shows what is being measured. */
  say(what: string): void;
}
