// Fits a damped oscillation to noisy measurements with L-BFGS: five numbers, no learning rate, float64 throughout.
//
// npx tsx examples/curve-fit.mts
import { checkGradient, minimize } from 'schuss';

type Vector = Float32Array | Float64Array;

const truth = { amplitude: 2, damping: 0.3, frequency: 2.5, phase: 0.4, offset: 1 };

/** The curve at t, and its derivatives with respect to the five numbers. */
function curve([a, d, w, p, c]: Vector, t: number): { value: number; slopes: readonly number[] } {
  const [fade, angle] = [Math.exp(-d! * t), w! * t + p!];
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const value = a! * fade * cos + c!;
  return { value, slopes: [fade * cos, -t * a! * fade * cos, -t * a! * fade * sin, -a! * fade * sin, 1] };
}

// Measurements with an error of about 0.05.
const times = Float64Array.from({ length: 80 }, (_, i) => i / 10);
const exact = Float64Array.from(Object.values(truth));
const measured = times.map((t, i) => curve(exact, t).value + 0.05 * Math.sin(97 * i));

/** Half the mean squared error. It writes its gradient. */
function loss(x: Vector, grad: Vector): number {
  grad.fill(0);
  let sum = 0;
  times.forEach((t, i) => {
    const { value, slopes } = curve(x, t);
    const error = (value - measured[i]!) / times.length;
    sum += (error * (value - measured[i]!)) / 2;
    slopes.forEach((slope, k) => {
      grad[k]! += error * slope;
    });
  });
  return sum;
}

// A rough guess, as one reads it off a plot.
const guess = Float64Array.of(1.5, 0.1, 2.3, 0, 0.5);
const { maxRelativeError } = checkGradient(loss, guess);
console.log(`the gradient differs from differences by ${maxRelativeError.toExponential(0)}`);

const { x, value, iterations, evaluations, reason } = minimize(loss, guess);
console.log(
  `${iterations} iterations, ${evaluations} evaluations, ended by '${reason}': loss ${value.toExponential(2)}`,
);
console.log(`found ${[...x].map((v) => v.toFixed(2)).join(', ')}; true ${[...exact].join(', ')}`);
