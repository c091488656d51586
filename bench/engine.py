"""Times PyTorch on request, as peer.py does numpy: a request a line, nanoseconds of one repetition a line. "resident" and
"peak" are answered with bytes of memory."""

import os
import sys
import time

import torch
from torch import nn

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
torch.manual_seed(1)


def training(model, shape):
    x, y = torch.randn(shape), torch.arange(shape[0]) % 10
    adam, loss = torch.optim.Adam(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def run():
        adam.zero_grad()
        loss(model(x), y).backward()
        adam.step()

    return run


def mlp(inputs, first, second, outputs, batch):
    model = nn.Sequential(nn.Linear(inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outputs))
    return training(model, (batch, inputs))


def transformer(width, steps, batch):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(width, 4, 512, dropout=0, activation="gelu", batch_first=True, norm_first=True)
            self.body = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False)
            self.head = nn.Linear(width, 10)

        def forward(self, x):
            return self.head(self.body(x).mean(1))

    return training(Model(), (batch, steps, width))


def strided(first, second, batch):
    model = nn.Sequential(
        nn.Conv2d(1, first, 3, 2, 1), nn.ReLU(), nn.Conv2d(first, second, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(49 * second, 10)
    )
    return training(model, (batch, 1, 28, 28))


def pooled(first, second, batch):
    model = nn.Sequential(
        nn.Conv2d(1, first, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(49 * second, 10),
    )
    return training(model, (batch, 1, 28, 28))


def attention(heads, steps, width):
    q, k, v = (torch.randn(1, heads, steps, width, requires_grad=True) for _ in range(3))

    def run():
        q.grad = k.grad = v.grad = None
        nn.functional.scaled_dot_product_attention(q, k, v).sum().backward()

    return run


def resnet(depth, size, batch):
    class Block(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
            )
            self.short = nn.Sequential()
            if stride > 1:
                self.short = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

        def forward(self, x):
            return torch.relu(self.body(x) + self.short(x))

    layers, before = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for stage, width in enumerate((16, 32, 64)):
        for b in range((depth - 2) // 6):
            layers.append(Block(before, width, 2 if stage and not b else 1))
            before = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()
    x = torch.randn(batch, 3, size, size)

    def run():
        with torch.inference_mode():
            model(x)

    return run


def status(field):
    with open("/proc/self/status") as f:
        return next(1024 * int(line.split()[1]) for line in f if line.startswith(field + ":"))


jobs = {}
for line in sys.stdin:
    name, *sizes = line.split()
    if name == "resident":  # now; the peak begins anew
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        print(status("VmRSS"), flush=True)
        continue
    if name == "peak":
        print(status("VmHWM"), flush=True)
        continue
    *sizes, reps = map(int, sizes)
    key = (name, *sizes)
    if key not in jobs:
        jobs.clear()
        jobs[key] = globals()[name](*sizes)
        for _ in range(3):
            jobs[key]()
    start = time.perf_counter_ns()
    for _ in range(reps):
        jobs[key]()
    print((time.perf_counter_ns() - start) / reps, flush=True)
