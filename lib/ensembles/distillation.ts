import { rangeError, show, typeError } from '../check/errors.js';
import { checkInteger, checkNumber, checkOptions } from '../check/options.js';
import { checkFloat32, checkLength, floatsOf, isFloat32, isSigned, lengthOf } from '../check/typed-array.js';
import { checkApart, extentOf } from '../core/extents.js';
import { engine } from '../engine/backend.js';
import { checkClasses, checkMatrixRows, checkMembers, checkOut } from './inputs.js';
import { addAll } from './mean.js';
import { addSoftmax, logSoftmax } from './softmax.js';

/**
 * A teacher: its logits, the logits of several models (their softmaxes are averaged), or probabilities (used
 * unchanged).
 */
export type Teacher = Float32Array | readonly Float32Array[] | { readonly probabilities: Float32Array };

/** Options of {@link distillationLoss}. */
export interface DistillationOptions {
  /** Number of classes: the length of a matrix row. An integer in [1, inf). */
  readonly classes: number;
  /** Temperature T: logits are divided by it before the softmax. (0, inf), default 1. */
  readonly temperature?: number | undefined;
  /** Weight of the teacher in the loss; the labels have 1 − alpha. [0, 1], default 0.5 with labels and 1 without. */
  readonly alpha?: number | undefined;
  /** The true class of each matrix row, each in [0, classes). Required if alpha is below 1. */
  readonly labels?: Int32Array | undefined;
  /**
   * Receives the gradient with respect to the student's logits. May be the array of the student's or of a teacher's
   * logits.
   */
  readonly grad?: Float32Array | undefined;
}

/** Writes one matrix row of the teacher's probabilities and their logarithms. Returns the sum of the probabilities. */
type ReadTeacher = (offset: number, p: Float64Array, logP: Float64Array) => number;

const teachers = 'a Float32Array of logits, a list of them, or { probabilities }';

/**
 * The distillation loss: how far a student's predictions are from a teacher's and from the labels. Returns the mean
 * over the batch, and writes its gradient to `grad`.
 *
 * ```
 * loss = mean over rows of  α·T²·KL(p ‖ softmax(z/T)) + (1−α)·(−log softmax(z)[label])
 * grad = (α·T·(softmax(z/T) − p) + (1−α)·(softmax(z) − onehot(label))) / rows
 * ```
 * z are the student's logits. p is softmax(teacher/T), its mean over several teachers, or the given probabilities.
 * Given probabilities are neither softened nor normalised. If a matrix row of them does not sum to 1, the gradient has
 * (Σp)·softmax(z/T) − p. The factor T² keeps the magnitude of the gradient independent of T. Arithmetic is float64 with
 * log softmax, accurate for logits of any size; `grad` is rounded once.
 *
 * @param studentLogits a row-major matrix, batch × classes, with at least one matrix row. Changes only if it is also
 *   `grad`.
 * @param teacher of the same length: {@link Teacher}. Changes only if it is also `grad`.
 * @param options `classes` (required), `temperature` (1, (0, ∞)), `alpha` ([0, 1], 0.5 with labels, 1 without),
 *   `labels`, `grad`: {@link DistillationOptions}
 * @returns the loss. NaN in the logits gives NaN.
 * @throws TypeError for a wrong type, an unknown option, or an alpha below 1 without labels; RangeError for other
 *   lengths, an empty batch, no teachers, a length that is not a multiple of classes, a wrong number of labels or a
 *   label not in [0, classes), a temperature or alpha out of range, a probability that is negative or not finite, or a
 *   `grad` that overlaps the labels, or overlaps logits in part
 * @see Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531
 * @example
 * ```ts
 * import { Adam, distillationLoss } from 'schuss';
 *
 * const logits = new Float32Array(4), grad = new Float32Array(4);
 * const teachers = [new Float32Array([5, 1, 0, 2]), new Float32Array([4, 2, 1, 2])];
 * const adam = new Adam(logits, { lr: 0.1 });
 * const options = { classes: 2, temperature: 4, alpha: 0.9, labels: new Int32Array([0, 1]), grad };
 * const before = distillationLoss(logits, teachers, options);
 * adam.step(grad);
 * distillationLoss(logits, teachers, options) < before; // true
 * ```
 */
export function distillationLoss(studentLogits: Float32Array, teacher: Teacher, options: DistillationOptions): number {
  const who = 'distillationLoss';
  checkOptions(who, options, [
    'classes',
    'temperature',
    'alpha',
    'labels',
    'grad',
  ] satisfies (keyof DistillationOptions)[]);
  const {
    classes,
    temperature = 1,
    labels,
    alpha = labels === undefined ? 1 : 0.5,
    grad,
  } = options as unknown as DistillationOptions;
  checkClasses(who, classes);
  checkNumber(who, 'temperature', temperature, '(0, inf)');
  checkNumber(who, 'alpha', alpha, '[0, 1]');
  checkFloat32(who, 'studentLogits', studentLogits);
  const length = lengthOf(studentLogits);
  if (length === 0) throw rangeError(who, 'studentLogits', 'length 0', 'at least one row');
  checkMatrixRows(who, 'studentLogits', studentLogits, classes);
  const rows = length / classes;
  const { arrays, path, read } = checkTeacher(who, teacher, length, classes, temperature);
  if (labels !== undefined) checkLabels(who, labels, rows, classes);
  else if (alpha < 1) throw typeError(who, 'labels', 'undefined', 'an Int32Array', `alpha is ${alpha}, not 1`);
  if (grad !== undefined) {
    const inputPath = (i: number) => (i === 0 ? 'studentLogits' : path(i - 1));
    checkOut(who, 'grad', { out: grad, length, inputs: [studentLogits, ...arrays], inputPath });
    if (labels !== undefined) {
      checkApart(who, extentOf(engine(), grad, 'grad'), [extentOf(engine(), floatsOf(labels), 'labels')]);
    }
  }

  const [p, logP, logQ, logQ1] = [0, 1, 2, 3].map(() => new Float64Array(classes)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const offset = row * classes;
    // A part with weight 0 is skipped, because 0 · ∞ would be NaN.
    let teacherSum = 0;
    if (alpha > 0) {
      teacherSum = read(offset, p, logP);
      logSoftmax(studentLogits, offset, temperature, logQ);
      loss += alpha * temperature * temperature * divergence(p, logP, logQ);
    }
    const label = alpha < 1 ? labels![row]! : -1;
    if (label >= 0) {
      logSoftmax(studentLogits, offset, 1, logQ1);
      loss -= (1 - alpha) * logQ1[label]!;
    }
    // grad may be the memory of the logits, so the whole matrix row was read before this.
    if (grad === undefined) continue;
    for (let c = 0; c < classes; c++) {
      const soft = alpha > 0 ? alpha * temperature * (teacherSum * Math.exp(logQ[c]!) - p[c]!) : 0;
      const hard = label >= 0 ? (1 - alpha) * (Math.exp(logQ1[c]!) - (c === label ? 1 : 0)) : 0;
      grad[offset + c] = (soft + hard) / rows;
    }
  }
  return loss / rows;
}

/** KL(p ‖ q) = Σ p·(log p − log q). A term with p = 0 is 0. */
function divergence(p: Float64Array, logP: Float64Array, logQ: Float64Array): number {
  let sum = 0;
  for (let c = 0; c < p.length; c++) if (p[c] !== 0) sum += p[c]! * (logP[c]! - logQ[c]!);
  return sum;
}

/**
 * The teacher's arrays, their names in errors, and a function that reads one matrix row of them.
 * @throws TypeError, RangeError
 */
function checkTeacher(
  who: string,
  teacher: Teacher,
  length: number,
  classes: number,
  temperature: number,
): { arrays: readonly Float32Array[]; path: (i: number) => string; read: ReadTeacher } {
  if (Array.isArray(teacher)) {
    const arrays = checkMembers(who, 'teacher', teacher);
    const path = (i: number) => `teacher[${i}]`;
    checkLength(who, path(0), arrays[0]!, length);
    return {
      arrays,
      path,
      read: arrays.length === 1 ? readLogits(arrays[0]!, temperature) : readMembers(arrays, classes, temperature),
    };
  }
  if (typeof teacher === 'object' && teacher !== null && 'probabilities' in teacher) {
    const path = () => 'teacher.probabilities';
    checkOptions(`${who}: teacher`, teacher, ['probabilities']);
    const probabilities = checkFloat32(who, path(), teacher.probabilities);
    checkLength(who, path(), probabilities, length);
    // A negative number is most likely a logit.
    const bad = floatsOf(probabilities).findIndex((p) => !(p >= 0 && p < Number.POSITIVE_INFINITY));
    if (bad >= 0)
      throw rangeError(
        who,
        `${path()}[${bad}]`,
        show(probabilities[bad]),
        '[0, inf)',
        'logits are given as a Float32Array alone',
      );
    return { arrays: [probabilities], path, read: readProbabilities(probabilities) };
  }
  if (!isFloat32(teacher) && !ArrayBuffer.isView(teacher)) throw typeError(who, 'teacher', show(teacher), teachers);
  const logits = checkFloat32(who, 'teacher', teacher, teachers);
  checkLength(who, 'teacher', logits, length);
  return { arrays: [logits], path: () => 'teacher', read: readLogits(logits, temperature) };
}

function readLogits(logits: Float32Array, temperature: number): ReadTeacher {
  return (offset, p, logP) => {
    logSoftmax(logits, offset, temperature, logP);
    for (let c = 0; c < p.length; c++) p[c] = Math.exp(logP[c]!);
    return 1;
  };
}

function readMembers(members: readonly Float32Array[], classes: number, temperature: number): ReadTeacher {
  const weights = new Float64Array(members.length).fill(1 / members.length);
  const mean = { members, weights, add: addSoftmax(classes, temperature) };
  return (offset, p, logP) => {
    p.fill(0);
    addAll(mean, p, offset, classes);
    for (let c = 0; c < classes; c++) logP[c] = Math.log(p[c]!);
    return 1;
  };
}

function readProbabilities(probabilities: Float32Array): ReadTeacher {
  return (offset, p, logP) => {
    let sum = 0;
    for (let c = 0; c < p.length; c++) {
      p[c] = probabilities[offset + c]!;
      logP[c] = Math.log(p[c]!);
      sum += p[c]!;
    }
    return sum;
  };
}

/** Refuses labels unless they are an Int32Array with a class for each matrix row. @throws TypeError, RangeError */
function checkLabels(who: string, labels: Int32Array, rows: number, classes: number): void {
  if (!isSigned(labels)) {
    throw typeError(
      who,
      'labels',
      show(labels),
      'an Int32Array',
      Array.isArray(labels) ? 'convert it with Int32Array.from(…)' : undefined,
    );
  }
  if (lengthOf(labels) !== rows)
    throw rangeError(who, 'labels', `length ${lengthOf(labels)}`, String(rows), 'one for each row');
  for (let row = 0; row < rows; row++) {
    if (!(labels[row]! >= 0 && labels[row]! < classes))
      checkInteger(who, `labels[${row}]`, labels[row], `[0, ${classes})`);
  }
}
