"""
Results of torch.optim.Muon of PyTorch 2.10 in float64, for golden.test.ts. PyTorch's class computes the iteration in bfloat16; this is
its formula without that cast, and with its shape rule for filters (outputs x the rest) as in Keller Jordan's code.

    python published.py > published.json
"""

import json
import math

import torch


def generator(seed):
    """mulberry32, as test/support/random.ts."""
    state = seed & 0xFFFFFFFF

    def imul(a, b):
        return (a * b) & 0xFFFFFFFF

    def next_number():
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = imul(state ^ (state >> 15), 1 | state)
        t = ((t + imul(t ^ (t >> 7), 61 | t)) & 0xFFFFFFFF) ^ t
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) / 2**32

    return next_number


def numbers(shape, seed):
    next_number = generator(seed)
    values = [2 * next_number() - 1 for _ in range(math.prod(shape))]
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape)


def orthogonalize(update, coefficients, steps, eps):
    x = update
    if update.size(0) > update.size(1):
        x = x.T
    x = x / x.norm().clamp(min=eps)
    a, b, c = coefficients
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if update.size(0) > update.size(1) else x


def adjusted(lr, rule, rows, columns):
    if rule == "match_rms_adamw":
        return lr * 0.2 * math.sqrt(max(rows, columns))
    return lr * math.sqrt(max(1, rows / columns))


def run(shape, steps, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7, ns_steps=5, rule="original"):
    param = numbers(shape, 1)
    buffer = torch.zeros_like(param)
    for step in range(steps):
        grad = numbers(shape, 10 + step)
        buffer.lerp_(grad, 1 - momentum)
        update = grad.lerp(buffer, momentum) if nesterov else buffer
        matrix = update.reshape(shape[0], -1)
        x = orthogonalize(matrix, coefficients, ns_steps, eps).reshape(shape)
        param.mul_(1 - lr * weight_decay)
        param.add_(x, alpha=-adjusted(lr, rule, *matrix.shape))
    return param.flatten().tolist()


cases = [
    dict(shape=[4, 6], steps=3, lr=0.1),
    dict(shape=[7, 3], steps=3, lr=0.1),
    dict(shape=[5, 5], steps=2, lr=0.1, momentum=0.5, nesterov=False, weight_decay=0),
    dict(shape=[3, 2, 2, 2], steps=2, lr=0.05, rule="match_rms_adamw"),
    dict(shape=[9, 2], steps=2, lr=0.05, ns_steps=3, coefficients=(2.0, -1.5, 0.5)),
]
print(json.dumps([dict(case, result=run(**case)) for case in cases], indent=1))
