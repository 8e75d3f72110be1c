// Programs over the addon's own exports, called directly and not through lib/. Here the only promise is that no call
// crashes the process: results and messages are the addon's own.
import { Control } from '../../lib/engine/engine.js';
import { loadAddon } from '../../lib/engine/native.js';
import type { Any } from '../support/bad-input.js';
import { print } from './print.js';
import { Program, type ProgramOptions } from './program.js';

const addon = loadAddon() as Any;

/** A plan with what it was made from. */
interface Made {
  readonly step: Any;
  readonly engine: Any;
  readonly count: number;
  readonly stride: number;
  readonly control: Float64Array;
  readonly rows: Float32Array;
  readonly rowOf: Int32Array;
  readonly lengths: number[];
}

const kernels = addon.engine('scalar').kernels as readonly Any[];

export class AddonProgram extends Program {
  readonly #engines = (addon.isas as string[]).map((isa) => addon.engine(isa));
  readonly #plans: Made[] = [];
  readonly #doubles: Float64Array[] = [];
  readonly #blocks: object[] = [];
  readonly #excluded: readonly string[];

  constructor(seed: number, options: ProgramOptions & { readonly excluded?: readonly string[] }) {
    super(seed, options);
    this.#excluded = options.excluded ?? [];
  }

  protected call(): void {
    const { dice } = this;
    if (this.#plans.length > 4 || dice.chance(0.03)) this.#plans.splice(dice.int(this.#plans.length), 1);
    const name = dice.pick(names.filter((name) => !this.#excluded.includes(name)));
    const engine = dice.pick(this.#engines) as Any;
    const plan = dice.pick(this.#plans) as Made | undefined;
    if (name === 'write') {
      this.#write(plan);
      return;
    }
    const holder = name in addon ? addon : engine;
    const { args, made } = this.#valid(name, engine, plan);
    const given = this.arguments(args);
    const callee = name === 'step' || name === 'setGrad' ? plan?.step : holder[name];
    // With one argument a plan does not look at its memory, because its caller has: lib/ does, and this program does not.
    if (callee === plan?.step && given.length === 1) given.push(undefined);
    this.perform(
      () => `${name}(${print(given)})`,
      undefined,
      () => {
        const result = dice.chance(0.02) ? new callee(...given) : Reflect.apply(callee, this.junkOr(undefined), given);
        if (made !== undefined && typeof result === 'function') this.#plans.push({ ...made, step: result });
        return result;
      },
    );
  }

  private junkOr(value: unknown): unknown {
    return this.dice.chance(0.02) ? this.junk() : value;
  }

  /** Writes to the memory that a plan shares with its owner, as nothing but lib/core should. */
  #write(plan: Made | undefined): void {
    if (plan === undefined) return;
    const { dice } = this;
    const target = dice.pick<Any>([plan.control, plan.rows, plan.rowOf, plan.rowOf]);
    if (target.length > 0)
      target[dice.int(target.length)] = dice.pick([
        0,
        1,
        -1,
        2,
        1e9,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2 ** 31 - 1,
      ]);
    this.perform(
      () => `write to the memory of a plan: ${print([target])}`,
      undefined,
      () => undefined,
    );
  }

  #double(length: number): Float64Array {
    if (this.#doubles.length > 0 && this.dice.chance(0.2)) return this.dice.pick(this.#doubles);
    const array = new Float64Array(length).map(() => this.dice.next());
    this.#doubles.push(array);
    return array;
  }

  #block(length: number): object {
    if (this.#blocks.length > 0 && this.dice.chance(0.3)) return this.dice.pick(this.#blocks);
    if (this.#blocks.length > 8) this.#blocks.splice(0, 4);
    const block = addon.createBlock(length) ?? {};
    this.#blocks.push(block);
    return block;
  }

  #vector(length: number): Float32Array | Float64Array {
    return this.dice.chance(0.5) ? this.#double(length) : this.floats(length);
  }

  #valid(name: string, engine: Any, plan: Made | undefined): { args: unknown[]; made?: Omit<Made, 'step'> } {
    const { dice } = this;
    const n = dice.pick([0, 1, 4, 12, 24, 100]);
    const index = plan === undefined ? 0 : dice.int(plan.count);
    switch (name) {
      case 'createPlan': {
        const [count, stride] = [dice.int(4), 7 + dice.int(17)];
        const length = 2 * Control.length + count * (stride + 1);
        const memory: Float32Array = dice.chance(0.5) ? addon.allocate(length) : new Float32Array(length);
        const { buffer, byteOffset } = memory;
        const control = new Float64Array(buffer, byteOffset, Control.length).fill(1);
        control[1] = Number.POSITIVE_INFINITY;
        for (const i of [2, 3, 4, 5]) control[i] = dice.int(2);
        const rows = new Float32Array(buffer, byteOffset + 8 * Control.length, count * stride).fill(0.5);
        const rowOf = new Int32Array(buffer, rows.byteOffset + rows.byteLength, count);
        const made = { engine, count, stride, control, rows, rowOf, lengths: [] };
        return { args: [count, stride, memory], made };
      }
      case 'setTensor': {
        const kernel = dice.pick(kernels);
        const state = Array.from({ length: kernel.state === '' ? 0 : kernel.state.split(',').length }, () =>
          dice.chance(0.3) ? this.floats(n) : this.#block(n),
        );
        if (plan !== undefined) plan.lengths[index] = n;
        const ema = dice.chance(0.3) ? this.#block(n) : null;
        const columns = dice.pick([0, 1, 4, 4, 12]);
        const side = dice.pick([undefined, 0, 1, 2, 3, 100, 2 ** 20]);
        return { args: [plan?.step, index, kernel.name, this.floats(n), state, ema, columns, side] };
      }
      case 'setGrad':
        return { args: [index, this.floats(plan?.lengths[index] ?? n)] };
      case 'setRowGrad': {
        const rows = Int32Array.from({ length: dice.int(4) }, () => dice.int(4));
        return { args: [plan?.step, index, rows, this.floats(rows.length * dice.pick([1, 4, 12]))] };
      }
      case 'step':
        return { args: [] };
      case 'stepAsync': {
        const done = () => {
          if (dice.chance(0.3)) this.attack();
        };
        return { args: [plan?.step, done] };
      }
      case 'measureSums':
      case 'stepWithSums':
        return { args: [plan?.step, this.#double(3 * (plan?.count ?? 1))] };
      case 'engine':
        return { args: [dice.pick(['scalar', 'avx2', 'sse2', 'neon'])] };
      case 'setThreads':
        return { args: [1 + dice.int(4), dice.chance(0.5)] };
      case 'allocate':
        return { args: [n] };
      case 'createBlock':
        return { args: dice.chance(0.5) ? [n] : [dice.pick([n, 5000]), 4 * dice.int(1025)] };
      case 'readBlock':
      case 'writeBlock':
        return { args: [this.#block(n), this.floats(n)] };
      case 'fillBlock':
        return { args: [this.#block(n), 0.5] };
      case 'viewBlock':
      case 'freeBlock':
        return { args: [this.#block(n)] };
      case 'freePlan':
        return { args: [plan?.step] };
      case 'lerp':
        return { args: [this.floats(n), this.floats(n), 0.5] };
      case 'add':
        return { args: [this.floats(n), this.floats(n)] };
      case 'scale':
        return { args: [this.floats(n), 0.5] };
      case 'compress':
        return { args: [this.floats(n), this.floats(n), 0.5, new Uint16Array(n), this.floats(n)] };
      case 'expand':
        return { args: [new Uint16Array(n).fill(0x3f80), this.floats(n)] };
      case 'dot':
      case 'maxAbsDifference':
        return { args: [this.#vector(n), this.#vector(n)] };
      case 'axpby': {
        const [x, y, out, z] = [0, 1, 2, 3].map(() => this.#vector(n));
        return { args: [0.5, x, 2, y, out, ...(dice.chance(0.5) ? [z] : [])] };
      }
      case 'multiply':
        return { args: [0.5, this.#vector(n), this.#vector(n)] };
      case 'project':
      case 'addCombination':
      case 'gemmInPlace':
      case 'gram': {
        const k = dice.int(6);
        const columns = Array.from({ length: k }, () => new Float64Array(n).fill(0.5));
        if (name === 'project') return { args: [columns, new Float64Array(n), new Float64Array(k)] };
        if (name === 'addCombination') return { args: [columns, new Float64Array(k), new Float64Array(n)] };
        if (name === 'gram') return { args: [columns, new Float64Array(k * k)] };
        return { args: [columns, Array.from({ length: dice.int(k + 1) }, () => new Float64Array(k))] };
      }
      case 'gatherRows':
      case 'scaleRows':
      case 'dotRows':
      case 'meanRows': {
        const [width, count, bags] = [1 + dice.int(20), dice.int(6), dice.int(4)];
        const rows = (): Int32Array => Int32Array.from({ length: count }, () => dice.int(n + 1));
        const [table, other] = [this.floats(n * width), this.floats(n * width)];
        if (name === 'dotRows') return { args: [width, table, rows(), this.floats(count), other, rows()] };
        if (name === 'scaleRows')
          return { args: [width, table, rows(), this.floats(count * width), this.floats(count)] };
        if (name === 'gatherRows') return { args: [width, table, rows(), this.floats(count * width)] };
        const offsets = Int32Array.from({ length: bags }, (_, i) => Math.floor((i * count) / bags));
        return { args: [width, table, rows(), this.floats(bags * width), offsets] };
      }
      case 'threads':
        return { args: [] };
      default:
        return { args: [this.floats(n)] };
    }
  }

  protected digest(): number {
    return 0; // the addon may change memory before it refuses: lib/ checks first
  }

  protected misshapen(error: unknown): string | undefined {
    return error instanceof Error ? undefined : `not an error: ${typeof error}`;
  }

  protected allocate(length: number): Float32Array | undefined {
    return addon.allocate(length);
  }
}

/** Every function of the addon and of an engine, the step of a plan, and writes to its memory. */
const names = [
  ...Object.keys(addon).filter((name) => typeof addon[name] === 'function'),
  ...Object.keys(addon.engine('scalar')).filter((name) => name !== 'kernels'),
  ...['createPlan', 'setTensor', 'setTensor', 'setTensor', 'setGrad', 'setGrad', 'setRowGrad'],
  ...['step', 'step', 'step', 'step', 'stepAsync', 'write', 'write'],
];
