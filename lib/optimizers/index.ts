import { show, typeError } from '../check/errors.js';
import { nearest } from '../check/options.js';
import type { Declaration, OptionsOf } from '../core/declaration.js';
import type { Optimizer } from '../core/optimizer.js';
import type { AnyParams, GivenAny, NoneRequired } from '../core/params-of.js';
import { AdaBelief, adabelief } from './adabelief.js';
import { Adadelta, adadelta } from './adadelta.js';
import { Adafactor, adafactor } from './adafactor.js';
import { Adagrad, adagrad } from './adagrad.js';
import { AdagradDA, adagradDa } from './adagrad-da.js';
import { Adam, AdamW, adam, adamw } from './adam.js';
import { AdamMini, adamMini } from './adam-mini.js';
import { Adamax, AdamaxW, adamax, adamaxw } from './adamax.js';
import { Adan, adan } from './adan.js';
import { AdEMAMix, ademamix } from './ademamix.js';
import { ADOPT, adopt } from './adopt.js';
import { ASGD, asgd } from './asgd.js';
import { COCOB, cocob } from './cocob.js';
import { DAdaptAdamW, dadaptAdamw } from './dadapt-adamw.js';
import { DoG, dog } from './dog.js';
import { DoWG, dowg } from './dowg.js';
import { Fromage, fromage } from './fromage.js';
import { FTRL, ftrl } from './ftrl.js';
import { LAMB, lamb } from './lamb.js';
import { LARS, lars } from './lars.js';
import { Lion, lion } from './lion.js';
import { MADGRAD, madgrad } from './madgrad.js';
import { MARS, mars } from './mars.js';
import { Momo, MomoAdam, momo, momoAdam } from './momo.js';
import { Muon, muon } from './muon.js';
import { NAdam, nadam } from './nadam.js';
import { NovoGrad, novograd } from './novograd.js';
import { OptimisticAdam, optimisticAdam } from './optimistic-adam.js';
import { OptimisticGradientDescent, optimisticGradientDescent } from './optimistic-gradient-descent.js';
import { PolyakSGD, polyakSgd } from './polyak-sgd.js';
import { Prodigy, prodigy } from './prodigy.js';
import { ProximalAdagrad, proximalAdagrad } from './proximal-adagrad.js';
import { RAdam, radam } from './radam.js';
import { RMSprop, rmsprop } from './rmsprop.js';
import { Rprop, rprop } from './rprop.js';
import { ScheduleFreeAdamW, ScheduleFreeSGD, scheduleFreeAdamw, scheduleFreeSgd } from './schedule-free.js';
import { SGD, sgd } from './sgd.js';
import { Shampoo, shampoo } from './shampoo.js';
import { SignSGD, Signum, signSgd, signum } from './sign-sgd.js';
import { SimplifiedAdEMAMix, simplifiedAdemamix } from './simplified-ademamix.js';
import { SM3, sm3 } from './sm3.js';
import { SOAP, soap } from './soap.js';
import { Sophia, sophia } from './sophia.js';
import { StableAdamW, stableAdamw } from './stable-adamw.js';
import { Yogi, yogi } from './yogi.js';

// THE TABLE: a new optimizer is its import, its row and its export in this file. Docs, contract tests, parity tests and
// benchmarks enumerate the rows. Their order is that of `optimizers`, the README and error messages.
const table = [
  [SGD, sgd],
  [Adagrad, adagrad],
  [RMSprop, rmsprop],
  [Adam, adam],
  [AdamW, adamw],
  [Adadelta, adadelta],
  [Adamax, adamax],
  [NAdam, nadam],
  [RAdam, radam],
  [Lion, lion],
  [LARS, lars],
  [LAMB, lamb],
  [Adafactor, adafactor],
  [AdEMAMix, ademamix],
  [Rprop, rprop],
  [FTRL, ftrl],
  [ASGD, asgd],
  [ScheduleFreeSGD, scheduleFreeSgd],
  [ScheduleFreeAdamW, scheduleFreeAdamw],
  [AdaBelief, adabelief],
  [Yogi, yogi],
  [ADOPT, adopt],
  [Adan, adan],
  [SignSGD, signSgd],
  [Signum, signum],
  [AdamaxW, adamaxw],
  [ProximalAdagrad, proximalAdagrad],
  [AdagradDA, adagradDa],
  [OptimisticGradientDescent, optimisticGradientDescent],
  [OptimisticAdam, optimisticAdam],
  [SimplifiedAdEMAMix, simplifiedAdemamix],
  [COCOB, cocob],
  [MADGRAD, madgrad],
  [Sophia, sophia],
  [Shampoo, shampoo],
  [SOAP, soap],
  [StableAdamW, stableAdamw],
  [NovoGrad, novograd],
  [AdamMini, adamMini],
  [SM3, sm3],
  [Prodigy, prodigy],
  [DAdaptAdamW, dadaptAdamw],
  [DoG, dog],
  [DoWG, dowg],
  [Fromage, fromage],
  [MARS, mars],
  [Muon, muon],
  [PolyakSGD, polyakSgd],
  [Momo, momo],
  [MomoAdam, momoAdam],
] as const;

/** What all optimizer classes have in common: constructor, name and defaults. */
export interface OptimizerClass {
  // biome-ignore lint/suspicious/noExplicitAny: the options depend on the class, which is known only at run time
  new (params: AnyParams, options?: any): Optimizer;
  readonly optimizerName: string;
  readonly defaults: Readonly<Record<string, unknown>>;
  /** True if steps need the loss: `step(grads, { loss })`. */
  readonly needsLoss?: boolean;
}

/** Each class with its declaration, in table order. @internal */
export const classes = table as unknown as readonly (readonly [OptimizerClass, Declaration])[];

/**
 * All optimizer classes, keyed by their names in lower case: `optimizers.adam === Adam`. Frozen.
 *
 * @example
 * ```ts
 * import { optimizers } from 'schuss';
 * for (const { optimizerName, defaults } of Object.values(optimizers)) console.log(optimizerName, defaults);
 * ```
 */
export const optimizers = Object.freeze(
  Object.fromEntries(table.map(([Class, { name }]) => [name.toLowerCase(), Class])),
) as unknown as { readonly [R in Row as NameOf<R>]: R[0] } & Readonly<Record<string, OptimizerClass>>;

type Row = (typeof table)[number];
type NameOf<R extends Row> = Lowercase<R[1]['name']>;
/** Names of the optimizer classes, in lower case. */
export type OptimizerName = NameOf<Row>;
/** What `createOptimizer` returns for a name. */
type Created<N extends string> = string extends N
  ? Optimizer
  : { [R in Row as NameOf<R>]: InstanceType<R[0]> }[Lowercase<N> & OptimizerName];
/** The options of the class of a name, which may be of any case. */
export type OptionsByName<N extends string> =
  Lowercase<N> extends OptimizerName
    ? { [R in Row as NameOf<R>]: OptionsOf<R[1]> }[Lowercase<N> & OptimizerName]
    : Readonly<Record<string, unknown>>;
/** A name as given, if it is one that is known or any string. */
type KnownName<N extends string> = string extends N ? N : Lowercase<N> extends OptimizerName ? N : OptimizerName;
/** Arguments for options: optional if none is required. */
type OptionsArgument<O> = Record<never, never> extends O ? [options?: O] : [options: O];

/**
 * Creates an optimizer from the name of its class, with default options. A class that requires an option, such as `lr`,
 * needs the argument `options`.
 *
 * @param name A key of {@link optimizers} in upper or lower case.
 * @param params The params, as the class takes them.
 */
export function createOptimizer<const N extends string, const P extends object>(
  name: KnownName<N>,
  params: GivenAny<P> & NoneRequired<OptionsByName<N>>,
): Created<N>;
/**
 * Creates an optimizer from the name of its class, for example from a configuration file.
 *
 * @param name A key of {@link optimizers} in upper or lower case: `'sgd'`, `'Adam'`, ….
 * @param params The params, as the class takes them.
 * @param options The options, as the class takes them.
 * @throws TypeError for an unknown name, with the nearest known one in the message; otherwise as the class throws
 * @example
 * ```ts
 * import { createOptimizer } from 'schuss';
 * const optimizer = createOptimizer('adam', new Float32Array(10), { lr: 1e-3 });
 * ```
 */
export function createOptimizer<const N extends string, const P extends object>(
  name: KnownName<N>,
  params: GivenAny<P>,
  ...options: OptionsArgument<OptionsByName<N>>
): Created<N>;
export function createOptimizer<N extends string>(name: N, params: object, options: object = {}): Created<N> {
  const names = Object.keys(optimizers);
  const key = typeof name === 'string' ? name.toLowerCase() : undefined;
  if (key === undefined || !names.includes(key)) {
    const near = key === undefined ? undefined : nearest(key, names);
    throw typeError(
      'createOptimizer',
      'name',
      show(name),
      near === undefined ? `one of ${names.join(', ')}` : `"${near}"`,
      near === undefined ? undefined : `there are ${names.join(', ')}`,
    );
  }
  return new (optimizers[key] as OptimizerClass)(params, options) as Created<N>;
}

export { AdaBelief, type AdaBeliefOptions } from './adabelief.js';
export { Adadelta, type AdadeltaOptions } from './adadelta.js';
export { Adafactor, type AdafactorOptions } from './adafactor.js';
export { Adagrad, type AdagradOptions } from './adagrad.js';
export { AdagradDA, type AdagradDAOptions } from './adagrad-da.js';
export { Adam, type AdamOptions, AdamW, type AdamWOptions } from './adam.js';
export { AdamMini, type AdamMiniOptions } from './adam-mini.js';
export { Adamax, type AdamaxOptions, AdamaxW, type AdamaxWOptions } from './adamax.js';
export { Adan, type AdanOptions } from './adan.js';
export { AdEMAMix, type AdEMAMixOptions } from './ademamix.js';
export { ADOPT, type ADOPTOptions } from './adopt.js';
export { ASGD, type ASGDOptions } from './asgd.js';
export { COCOB, type COCOBOptions } from './cocob.js';
export { DAdaptAdamW, type DAdaptAdamWOptions } from './dadapt-adamw.js';
export { DoG, type DoGOptions } from './dog.js';
export { DoWG, type DoWGOptions } from './dowg.js';
export { Fromage, type FromageOptions } from './fromage.js';
export { FTRL, type FTRLOptions } from './ftrl.js';
export { LAMB, type LAMBOptions } from './lamb.js';
export { LARS, type LARSOptions } from './lars.js';
export { Lion, type LionOptions } from './lion.js';
export { Lookahead, type LookaheadOptions, type LookaheadState } from './lookahead.js';
export { MADGRAD, type MADGRADOptions } from './madgrad.js';
export { MARS, type MARSOptions } from './mars.js';
export { Momo, MomoAdam, type MomoAdamOptions, type MomoOptions } from './momo.js';
export { Muon, type MuonOptions } from './muon.js';
export { NAdam, type NAdamOptions } from './nadam.js';
export { NovoGrad, type NovoGradOptions } from './novograd.js';
export { OptimisticAdam, type OptimisticAdamOptions } from './optimistic-adam.js';
export { OptimisticGradientDescent, type OptimisticGradientDescentOptions } from './optimistic-gradient-descent.js';
export { PolyakSGD, type PolyakSGDOptions } from './polyak-sgd.js';
export { Prodigy, type ProdigyOptions } from './prodigy.js';
export { ProximalAdagrad, type ProximalAdagradOptions } from './proximal-adagrad.js';
export { RAdam, type RAdamOptions } from './radam.js';
export { RMSprop, type RMSpropOptions } from './rmsprop.js';
export { Rprop, type RpropOptions } from './rprop.js';
export { SAM, type SAMOptions, type SAMState } from './sam.js';
export {
  ScheduleFreeAdamW,
  type ScheduleFreeAdamWOptions,
  ScheduleFreeSGD,
  type ScheduleFreeSGDOptions,
} from './schedule-free.js';
export { SGD, type SGDOptions } from './sgd.js';
export { Shampoo, type ShampooOptions } from './shampoo.js';
export { SignSGD, type SignSGDOptions, Signum, type SignumOptions } from './sign-sgd.js';
export { SimplifiedAdEMAMix, type SimplifiedAdEMAMixOptions } from './simplified-ademamix.js';
export { SM3, type SM3Options } from './sm3.js';
export { SOAP, type SOAPOptions } from './soap.js';
export { Sophia, type SophiaOptions, type SophiaStepOptions } from './sophia.js';
export { StableAdamW, type StableAdamWOptions } from './stable-adamw.js';
export { Yogi, type YogiOptions } from './yogi.js';
