import { show, typeError } from '../../check/errors.js';
import type { Budget } from '../evaluation.js';
import type { Curvature } from '../hessian-free/solver.js';
import { checkSquares } from '../hessian-free/squares.js';
import type { Vector } from '../linalg.js';
import { isThenable, type MaybeTask, type Task } from '../task.js';
import { GradientCheck, writeInto } from '../unwritten.js';
import { Views } from '../views.js';
import type { Problem } from './evaluator.js';

/** The user's functions of the method 'hessian-free'. */
export interface CurvatureFunctions {
  readonly gaussNewton: (x: Vector, v: Vector, out: Vector) => unknown;
  readonly squaredGradients?: ((x: Vector, out: Vector) => unknown) | undefined;
}

/** Calls the user's functions of curvature. */
export class UserCurvature implements Curvature {
  readonly squares: Curvature['squares'];
  readonly #problem: Problem;
  readonly #budget: Budget;
  readonly #gaussNewton: CurvatureFunctions['gaussNewton'];
  readonly #views: Views;
  readonly #checks = { gaussNewton: new GradientCheck(1), squaredGradients: new GradientCheck(1) };

  constructor(problem: Problem, budget: Budget, { gaussNewton, squaredGradients }: CurvatureFunctions) {
    this.#problem = problem;
    this.#budget = budget;
    this.#gaussNewton = gaussNewton;
    this.#views = new Views(problem.VectorType, problem.x0.length);
    this.squares =
      squaredGradients === undefined
        ? undefined
        : (x, out) => this.#squares(out, () => squaredGradients(this.#views.of(x, 'x'), this.#views.of(out, 'out')));
  }

  product(x: Vector, v: Vector, out: Vector): MaybeTask<void> {
    const call = (): unknown =>
      this.#gaussNewton(this.#views.of(x, 'x'), this.#views.of(v, 'v'), this.#views.of(out, 'out'));
    return this.#write('gaussNewton', out, call);
  }

  *#squares(out: Vector, call: () => unknown): Task<void> {
    const pending = this.#write('squaredGradients', out, call);
    if (pending !== undefined) yield* pending;
    checkSquares(this.#problem.who, (i) => `out[${i}] of squaredGradients`, out);
  }

  #write(name: 'gaussNewton' | 'squaredGradients', out: Vector, call: () => unknown): MaybeTask<void> {
    this.#budget.check();
    const { who, waits } = this.#problem;
    const once = (): MaybeTask<void> => {
      const result = call();
      if (waits !== undefined && (waits.isDue || isThenable(result))) return this.#awaited(name, result);
      this.#checkResult(name, result);
      return undefined;
    };
    return writeInto(this.#checks[name], out, once, (index) =>
      typeError(who, `out[${index}] of ${name}`, 'not written', 'a number', `${name} must write every element of out`),
    );
  }

  *#awaited(name: string, result: unknown): Task<void> {
    this.#checkResult(name, yield result);
  }

  #checkResult(name: string, result: unknown): void {
    const { who } = this.#problem;
    if (isThenable(result))
      throw typeError(who, name, show(result), 'nothing', 'it must not be async, except in minimizeAsync');
    this.#views.check(who, name);
  }
}
