import { torchRecommender } from '../recommender/torch-program.js';

/**
 * The Python program of the PyTorch peers. It reads one JSON request per line, answers each with one line, and times itself.
 * Methods and values are those of task.ts.
 */
export const torchScript = `
import importlib, json, sys, time
import torch

def pattern(n, period, shift, divisor):
    values = ((torch.arange(period, dtype=torch.float64) - shift) / divisor).float()
    return values.repeat(n // period + 1)[:n].clone()

def deepspeed(p, kw):
    from deepspeed.ops.adam import DeepSpeedCPUAdam
    return DeepSpeedCPUAdam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, **kw)

make = {
    'adam': lambda p, kw: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, **kw),
    'adamw': lambda p, kw: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, **kw),
    'sgd': lambda p, kw: torch.optim.SGD(p, lr=0.01, **kw),
    'momentum': lambda p, kw: torch.optim.SGD(p, lr=0.01, momentum=0.9, **kw),
    'adagrad': lambda p, kw: torch.optim.Adagrad(p, lr=0.01, initial_accumulator_value=0.1, eps=1e-10, **kw),
    'rmsprop': lambda p, kw: torch.optim.RMSprop(p, lr=1e-3, alpha=0.9, eps=1e-8, **kw),
    'nadam': lambda p, kw: torch.optim.NAdam(p, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3, **kw),
    'adamax': lambda p, kw: torch.optim.Adamax(p, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, **kw),
    'adadelta': lambda p, kw: torch.optim.Adadelta(p, lr=1.0, rho=0.9, eps=1e-6, **kw),
    'deepspeed': deepspeed,
}
tasks = {}

def version(module):
    return importlib.import_module(module).__version__

def start(id, method, n, tensors, threads, options):
    params = []
    for _ in range(tensors):
        param = torch.nn.Parameter(pattern(n // tensors, 1009, 504, 1009))
        param.grad = pattern(n // tensors, 101, 50.5, 50)
        params.append(param)
    tasks[id] = (params, make[method](params, options), threads)

def run(id, steps):
    optimizer, threads = tasks[id][1:]
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    for _ in range(steps):
        optimizer.step()
    seconds = time.perf_counter() - begin
    # OpenMP's threads go on spinning for a while, which would cost the next contender a core.
    if threads > 1:
        time.sleep(0.02)
    return seconds

def sample(id, stride):
    return tasks[id][0][0].detach()[::stride].tolist()

def drop(id):
    del tasks[id]

${torchRecommender}
print(json.dumps({'result': torch.__version__}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {'result': globals()[request['call']](*request['args'])}
    except Exception as error:
        answer = {'error': str(error).split('\\n')[0]}
    print(json.dumps(answer), flush=True)
`;
