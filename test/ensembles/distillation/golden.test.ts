import { describe, expect, test } from 'vitest';
import { averageLogits, distillationLoss, type Teacher } from '../../../lib/ensembles/index.js';
import { f32 } from '../../support/arrays.js';
import { agrees, mean, rowsOf, softmax, softmaxRow, sum } from '../../support/ensembles.js';
import { numbers } from '../../support/random.js';

const classes = 5;

describe('distillationLoss', () => {
  type Case = { teacher: Teacher; temperature?: number; alpha?: number; labels?: Int32Array };
  // Multiples of 2^-10, so that steps of 2^-8 are exact in float32.
  const exact = (seed: number) => numbers(4 * classes, seed, 4).map((z) => Math.round(z * 1024) / 1024);
  const student = exact(20);
  const labels = Int32Array.from([0, 4, 2, 2]);
  const one = exact(21);
  const several = [exact(22), exact(23), exact(24)];
  const given = { probabilities: Float32Array.from(softmax(exact(25), classes)) };
  const cases: Record<string, Case> = {
    'one teacher': { teacher: one },
    'one teacher at T = 3': { teacher: one, temperature: 3 },
    'one teacher and labels': { teacher: one, labels },
    'one teacher and labels, T = 4, alpha = 0.9': { teacher: one, temperature: 4, alpha: 0.9, labels },
    'labels alone': { teacher: one, temperature: 2, alpha: 0, labels },
    'several teachers': { teacher: several, temperature: 2.5 },
    'several teachers and labels': { teacher: several, temperature: 2.5, alpha: 0.25, labels },
    probabilities: { teacher: given, temperature: 2 },
    'probabilities and labels': { teacher: given, temperature: 2, alpha: 0.75, labels },
    'alpha 1 leaves labels out': { teacher: one, temperature: 2, alpha: 1, labels },
  };

  /** The formula, with what may be wrong in it as options. */
  interface Formula {
    tSquared: (t: number) => number;
    reverse: boolean;
    hardT: (t: number) => number;
    teacherT: (t: number) => number;
    softShare: (alpha: number) => number;
    mix: 'probabilities' | 'logits';
    divide: (rows: number) => number;
  }
  const right: Formula = {
    tSquared: (t) => t * t,
    reverse: false,
    hardT: () => 1,
    teacherT: (t) => t,
    softShare: (a) => a,
    mix: 'probabilities',
    divide: (rows) => rows,
  };

  function teacherRows(teacher: Teacher, t: number, mix: Formula['mix']): number[][] {
    if ('probabilities' in teacher) return rowsOf(teacher.probabilities, classes);
    const members = teacher instanceof Float32Array ? [teacher] : teacher;
    if (mix === 'logits') return rowsOf(averageLogits([...members]), classes).map((row) => softmaxRow(row, t));
    const all = members.map((z) => rowsOf(z, classes).map((row) => softmaxRow(row, t)));
    return all[0]!.map((row, r) => row.map((_, c) => mean(all.map((rows) => rows[r]![c]!))));
  }

  function truth(
    { teacher, temperature: t = 1, labels, alpha = labels === undefined ? 1 : 0.5 }: Case,
    formula: Partial<Formula> = {},
  ) {
    const { tSquared, reverse, hardT, teacherT, softShare, mix, divide } = { ...right, ...formula };
    const z = rowsOf(student, classes);
    const p = teacherRows(teacher, teacherT(t), mix);
    const share = softShare(alpha);
    const total = sum(
      z.map((row, r) => {
        const q = softmaxRow(row, t);
        const kl = sum(
          q.map((qc, c) => (reverse ? qc * Math.log(qc / p[r]![c]!) : p[r]![c]! * Math.log(p[r]![c]! / qc))),
        );
        const hard = labels === undefined ? 0 : -Math.log(softmaxRow(row, hardT(t))[labels[r]!]!);
        return share * tSquared(t) * kl + (1 - share) * hard;
      }),
    );
    return total / divide(z.length);
  }

  const call = ({ teacher, ...options }: Case, z = student, grad?: Float32Array) =>
    distillationLoss(z, teacher, { classes, ...options, grad });
  const close = (a: number, b: number) => Math.abs(a - b) <= 1e-13 * (1 + Math.abs(b));

  /** Four differences each: right up to h⁴/30 of the fifth derivative, below 1e-9 for gradients around 0.1. */
  function differences(c: Case): number[] {
    const h = 2 ** -8;
    return [...student].map((value, i) => {
      const at = (d: number) => call(c, student.with(i, value + d));
      return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
    });
  }

  test.each(Object.keys(cases))('%s: the loss', (name) => {
    expect(close(call(cases[name]!), truth(cases[name]!))).toBe(true);
  });

  test.each(Object.keys(cases))('%s: the gradient is that of the loss', (name) => {
    const c = cases[name]!;
    const grad = new Float32Array(student.length).fill(Number.NaN);
    const loss = call(c, student, grad);
    expect(loss).toBe(call(c)); // grad changes nothing
    const numeric = differences(c);
    expect(agrees(grad, numeric, 1e-9)).toBe(true);
    for (const factor of [4, 1 / 4, 2.5, 1 / 2.5, -1])
      expect(
        agrees(
          grad,
          numeric.map((g) => g * factor),
          1e-9,
        ),
        `times ${factor}`,
      ).toBe(false);
  });

  test('another formula is told apart', () => {
    const c = cases['several teachers and labels']!;
    const wrong: Record<string, Partial<Formula>> = {
      'no T²': { tSquared: () => 1 },
      'T for T²': { tSquared: (t) => t },
      'KL the other way round': { reverse: true },
      'cross-entropy at T': { hardT: (t) => t },
      'the teacher at 1': { teacherT: () => 1 },
      'alpha for 1 - alpha': { softShare: (a) => 1 - a },
      'logits averaged': { mix: 'logits' },
      'the sum over the batch': { divide: () => 1 },
      'the mean over elements': { divide: (rows) => rows * classes },
    };
    expect(close(call(c), truth(c))).toBe(true);
    for (const [name, formula] of Object.entries(wrong)) expect(close(call(c), truth(c, formula)), name).toBe(false);
  });

  test('by hand', () => {
    // KL(¼, ¾ ‖ ½, ½) = ¼·ln ½ + ¾·ln 3/2
    const kl = 0.13081203594113694;
    const z = f32(0, 0);
    const teacher = { probabilities: f32(0.25, 0.75) };
    const grad = f32(9, 9);
    expect(distillationLoss(z, teacher, { classes: 2, grad })).toBeCloseTo(kl, 15);
    expect([...grad]).toEqual([0.25, -0.25]);
    expect(distillationLoss(z, teacher, { classes: 2, temperature: 2, grad })).toBeCloseTo(4 * kl, 14);
    expect([...grad]).toEqual([0.5, -0.5]);
    expect(distillationLoss(z, teacher, { classes: 2, labels: Int32Array.of(1), grad })).toBeCloseTo(
      (kl + Math.LN2) / 2,
      15,
    );
    expect([...grad]).toEqual([0.375, -0.375]);
    const twice = { probabilities: f32(0.25, 0.75, 0.5, 0.5) };
    const wide = new Float32Array(4);
    expect(distillationLoss(f32(0, 0, 0, 0), twice, { classes: 2, grad: wide })).toBeCloseTo(kl / 2, 15);
    expect([...wide]).toEqual([0.125, -0.125, 0, 0]);
  });

  test('large logits', () => {
    const grad = f32(0, 0);
    const [z, t] = [f32(1e4, -1e4), f32(-1e4, 1e4)];
    expect(distillationLoss(z, t, { classes: 2, grad })).toBe(2e4);
    expect([...grad]).toEqual([1, -1]);
    expect(distillationLoss(z, t, { classes: 2, temperature: 100, grad })).toBeCloseTo(200 * 1e4, 6);
    expect([...grad]).toEqual([100, -100]);
    expect(distillationLoss(z, [t, z], { classes: 2, grad })).toBeCloseTo(1e4 - Math.LN2, 9);
    expect([...grad]).toEqual([0.5, -0.5]);
    expect(distillationLoss(z, t, { classes: 2, alpha: 0, labels: Int32Array.of(1), grad })).toBe(2e4);
    expect([...grad]).toEqual([1, -1]);
    expect(distillationLoss(z, t, { classes: 2, alpha: 0, labels: Int32Array.of(0) })).toBe(0);
  });

  test('where the teacher is sure, and where it has no share', () => {
    const grad = f32(0, 0);
    expect(distillationLoss(f32(0, 0), { probabilities: f32(1, 0) }, { classes: 2, grad })).toBeCloseTo(Math.LN2, 15);
    expect([...grad]).toEqual([-0.5, 0.5]);
    const masked = f32(0, Number.NEGATIVE_INFINITY);
    expect(distillationLoss(masked, masked, { classes: 2, grad })).toBe(0);
    expect([...grad]).toEqual([0, 0]);
    expect(distillationLoss(masked, f32(0, 0), { classes: 2 })).toBe(Number.POSITIVE_INFINITY);
    expect(
      distillationLoss(f32(0, 0), f32(Number.NaN, 0), { classes: 2, alpha: 0, labels: Int32Array.of(0) }),
    ).toBeCloseTo(Math.LN2, 15);
    expect(
      distillationLoss(masked, f32(9, Number.NEGATIVE_INFINITY), {
        classes: 2,
        alpha: 1,
        labels: Int32Array.of(1),
        grad,
      }),
    ).toBe(0);
    expect([...grad]).toEqual([0, 0]);
    expect(distillationLoss(f32(Number.NaN, 0), f32(0, 0), { classes: 2, grad })).toBeNaN();
    expect([...grad]).toEqual([Number.NaN, Number.NaN]);
  });

  test('a student that is its teacher has loss and gradient 0', () => {
    for (const teacher of [student, [student]]) {
      const grad = new Float32Array(student.length).fill(1);
      expect(distillationLoss(student, teacher, { classes, temperature: 3, grad })).toBe(0);
      expect(grad.every((g) => g === 0)).toBe(true);
    }
  });

  test('probabilities that do not sum to 1 are used as they are, and so is their gradient', () => {
    const c: Case = { teacher: { probabilities: given.probabilities.map((p) => p * 3) }, temperature: 2 };
    const grad = new Float32Array(student.length);
    expect(close(call(c, student, grad), truth(c))).toBe(true);
    expect(agrees(grad, differences(c), 1e-9)).toBe(true);
  });
});
