/** The part of the PyTorch peers' program that trains the models of model.ts. Its options are `optionsOf`. */
export const torchRecommender = `
sparse = {
    'sgd': lambda p: torch.optim.SGD(p, lr=0.01),
    'adagrad': lambda p: torch.optim.Adagrad(p, lr=0.01, initial_accumulator_value=0.1, eps=1e-10),
    'adam': lambda p: torch.optim.SparseAdam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-12),
}
trainings = {}

class Recommender:
    def __init__(self, model, method, sizes, batches):
        def weight(rows):
            return pattern(rows * sizes['width'], 1009, 504, 1009).view(rows, sizes['width'])
        if model == 'pairs':
            self.others = torch.nn.Embedding.from_pretrained(weight(sizes['users']), freeze=False, sparse=True)
        else:
            self.others = torch.nn.EmbeddingBag.from_pretrained(
                weight(sizes['items']), freeze=False, mode='mean', sparse=True)
        self.items = torch.nn.Embedding.from_pretrained(weight(sizes['items']), freeze=False, sparse=True)
        self.optimizer = sparse[method]([self.others.weight, self.items.weight])
        self.turn = 0
        self.batches = []
        for batch in batches:
            items = torch.tensor(batch['items'])
            named = torch.tensor(batch['users'] if model == 'pairs' else batch['histories'])
            others = (named,) if model == 'pairs' else (named, torch.arange(len(items)) * sizes['history'])
            self.batches.append((others, items, torch.tensor(batch['clicked'], dtype=torch.float32)))

    def step(self):
        others, items, clicked = self.batches[self.turn % len(self.batches)]
        self.turn += 1
        self.optimizer.zero_grad()
        scores = (self.others(*others) * self.items(items)).sum(1)
        torch.nn.functional.binary_cross_entropy_with_logits(scores, clicked, reduction='sum').backward()
        self.optimizer.step()

def train_start(id, model, method, sizes, batches):
    trainings[id] = Recommender(model, method, sizes, batches)

def train_run(id, steps):
    training = trainings[id]
    torch.set_num_threads(1)
    begin = time.perf_counter()
    for _ in range(steps):
        training.step()
    return time.perf_counter() - begin

def train_sample(id, stride):
    return trainings[id].items.weight.detach().flatten()[::stride].tolist()

def train_drop(id):
    del trainings[id]
`;
