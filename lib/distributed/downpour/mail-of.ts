import { rangeError } from '../../check/errors.js';
import { checkInteger } from '../../check/options.js';
import { checkWorld } from '../check-world.js';
import { Channel } from '../world/channel.js';
import { warn } from '../world/exit.js';
import { longestTimer, OwnWorld } from '../world/own-world.js';
import type { Mail } from '../world/transport.js';
import type { World } from '../world/world.js';

/** Milliseconds after which a rank that waits says for whom. */
const patience = 60_000;

/**
 * The messages of a world, for a class of Downpour SGD.
 * @throws TypeError if it is no world, Error if it is closed or has no messages
 */
export function mailOf(who: string, world: World): Mail {
  checkWorld(who, world);
  OwnWorld.checkOpen(who, world);
  const mail = OwnWorld.transportOf(world)?.mail;
  if (mail !== undefined) return Channel.first(mail);
  const what = world.size === 1 ? 'a world of one' : 'a world without messages between ranks';
  throw new Error(`${who}: world: ${what}, expected worker threads or MPI (run npx schuss launch -n 4 script.mjs)`);
}

/** The number of servers, and whether the rank is where it should be. @throws TypeError, RangeError */
export function checkServers(who: string, world: World, servers: unknown, isServer: boolean): number {
  const { rank, size } = world;
  if (size === 1)
    throw rangeError(who, 'world', 'a world of one', 'a server and a worker at least', 'npx schuss launch -n 2');
  const count = checkInteger(who, 'servers', servers, `[1, ${size - 1}]`);
  if (rank < count !== isServer)
    throw rangeError(who, 'world', `rank ${rank}`, isServer ? `a rank below ${count}` : `a rank from ${count} on`);
  return count;
}

/** How an error names ranks. */
const ranksText = (ranks: readonly number[]): string => `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;

/** Breaks the world if ranks do not come in time. Before that, it says for whom this rank waits. */
export class Deadline {
  readonly #timers: readonly NodeJS.Timeout[];

  /** @param missing The ranks that have not come. */
  constructor(where: string, world: World, mail: Mail, missing: () => readonly number[]) {
    const { rank, timeout } = world;
    const say = (): void =>
      warn(`World: rank ${rank} has waited ${patience / 1000} s in ${where} for ${ranksText(missing())}`);
    const end = (): void => {
      const ranks = missing();
      mail.giveUp(`${where}: ${ranksText(ranks)} did not come within ${timeout} ms`, ranks);
    };
    this.#timers = [setTimeout(say, patience), ...(timeout > longestTimer ? [] : [setTimeout(end, timeout)])];
  }

  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
