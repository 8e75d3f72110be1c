import { describe, expect, test } from 'vitest';
import { distillationLoss } from '../../../lib/ensembles/index.js';
import { array, bits, half, list } from '../../support/ensembles.js';
import fc from '../../support/property.js';

describe('distillationLoss', () => {
  const sample = fc
    .record({ rows: fc.integer({ min: 1, max: 4 }), classes: fc.integer({ min: 1, max: 5 }) })
    .chain(({ rows, classes }) =>
      fc.record({
        classes: fc.constant(classes),
        student: array(rows * classes),
        teachers: fc.array(array(rows * classes), { minLength: 1, maxLength: 3 }),
        labels: list(rows, fc.integer({ min: 0, max: classes - 1 })).map((l) => Int32Array.from(l)),
        temperature: fc.double({ min: 0.5, max: 20, noNaN: true }),
        alpha: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    );

  test('is never negative, and the gradient of a row sums to 0', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const grad = new Float32Array(student.length);
        expect(distillationLoss(student, teachers, { ...options, grad })).toBeGreaterThanOrEqual(-1e-10);
        for (let begin = 0; begin < grad.length; begin += options.classes) {
          const total = grad.subarray(begin, begin + options.classes).reduce((a, b) => a + b, 0);
          expect(Math.abs(total)).toBeLessThanOrEqual(options.classes * half * options.temperature + half);
        }
      }),
    ));

  test('a step against the gradient lowers it', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const grad = new Float32Array(student.length);
        const loss = distillationLoss(student, teachers, { ...options, grad });
        const square = grad.reduce((a, g) => a + g * g, 0);
        fc.pre(square > 1e-6);
        // The curvature is at most 1 a row, of the loss divided by rows: a step of 0.1 is well below 2/curvature.
        const after = distillationLoss(
          student.map((z, i) => z - 0.1 * grad[i]!),
          teachers,
          options,
        );
        expect(after).toBeLessThan(loss - 0.05 * square + 1e-7 * (1 + loss));
      }),
    ));

  test('the order of the teachers is of no account; one in a list is one alone', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers, ...options }) => {
        const loss = distillationLoss(student, teachers, options);
        expect(distillationLoss(student, [...teachers].reverse(), options)).toBeCloseTo(loss, 9);
        expect(distillationLoss(student, teachers.slice(0, 1), options)).toBe(
          distillationLoss(student, teachers[0]!, options),
        );
      }),
    ));

  test('several alike are one; alpha mixes in a straight line', () =>
    fc.assert(
      fc.property(sample, ({ student, teachers: [one], ...options }) => {
        const at = (alpha: number, teacher: Float32Array | Float32Array[] = one!) =>
          distillationLoss(student, teacher, { ...options, alpha });
        expect(at(options.alpha, [one!, one!])).toBeCloseTo(at(options.alpha), 9);
        expect(at(options.alpha)).toBeCloseTo(options.alpha * at(1) + (1 - options.alpha) * at(0), 9);
      }),
    ));

  test('grad may be the memory of the student or of a teacher', () =>
    fc.assert(
      fc.property(sample, fc.nat(3), ({ student, teachers, ...options }, which) => {
        const grad = new Float32Array(student.length);
        const loss = distillationLoss(student, teachers, { ...options, grad });
        const all = [student, ...teachers];
        const same = all[which % all.length]!;
        expect(distillationLoss(student, teachers, { ...options, grad: same })).toBe(loss);
        expect(bits(same)).toEqual(bits(grad));
      }),
    ));
});
