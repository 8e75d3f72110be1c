import { UserError } from '../common/user-error.js';
import { type Figure, figures } from './figures.js';
import type { Method, Settings } from './job.js';

export interface Selection {
  readonly only?: readonly string[] | undefined;
  readonly methods?: readonly string[] | undefined;
}

/** The figures to make. @throws UserError if none is left */
export function selectFigures(settings: Settings, { only, methods }: Selection): Figure[] {
  const wanted = figures(settings).filter((figure) => only === undefined || only.includes(figure.id));
  if (methods === undefined) return wanted;
  const chosen = wanted.flatMap((figure) => withMethods(figure, new Set(methods as Method[])) ?? []);
  if (chosen.length === 0)
    throw new UserError(
      `study: no figure is left with --methods ${methods.join(' ')}${only === undefined ? '' : ` and --only ${only.join(' ')}`}`,
    );
  return chosen;
}

/**
 * A figure with some of the methods. A figure whose title compares methods is kept only if it has all of them.
 * SFO, L-BFGS and Hessian-free stay beside any first-order method.
 */
function withMethods(figure: Figure, methods: ReadonlySet<Method>): Figure | undefined {
  switch (figure.kind) {
    case 'worth':
    case 'ranking':
    case 'sweep': {
      const sweeps = figure.sweeps.filter(({ method }) => methods.has(method));
      return sweeps.length === 0 ? undefined : { ...figure, sweeps };
    }
    case 'curves':
      return figure.lines.every(({ job }) => methods.has(job.method)) ? figure : undefined;
    case 'range': {
      const jobs = figure.jobs.filter(({ method }) => methods.has(method));
      return jobs.length === 0 ? undefined : { ...figure, jobs };
    }
    case 'descent': {
      const isKept = (lr: number | undefined, method: string): boolean =>
        lr === undefined || methods.has(method as Method);
      const problems = figure.problems.map((problem) => ({
        ...problem,
        lines: problem.lines.filter(({ jobs }) => jobs.some(({ lr, method }) => isKept(lr, method))),
      }));
      return problems.some(({ lines }) => lines.some(({ jobs }) => jobs[0]?.lr !== undefined))
        ? { ...figure, problems }
        : undefined;
    }
    case 'ensemble':
      return methods.has(figure.student.method) ? figure : undefined;
  }
}
