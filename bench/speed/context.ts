import type { Settings } from './settings.js';

/** What every section of the benchmark is given. */
export interface Context {
  readonly settings: Settings;
  /** Tells whoever waits what is being measured. */
  say(what: string): void;
}
