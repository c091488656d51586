"""Writes merges.txt: what mergekit makes of a small tensor. Run beside the file, with mergekit 0.1.5 and torch 2.15: python merges.py

Methods that draw are here with density 1 or as the deterministic part of them; inputs are stored with the results.
"""

import torch
from mergekit.merge_methods.api import merge_tensors

torch.manual_seed(7)
base = torch.randn(5, 8)
tuned = [base + 0.3 * torch.randn(5, 8) for _ in range(3)]

W = [0.5, 1.0, 0.25]
CASES = [
    ("linear", dict(weight=[0.1, 0.2, 0.3, 0.8])),
    ("linear", dict(weight=[0.1, 0.2, 0.3, 0.8], normalize=False)),
    ("slerp", dict(t=0.3)),
    ("task_arithmetic", dict(weight=W)),
    ("task_arithmetic", {"weight": W, "normalize": True, "lambda": 0.5}),
    ("ties", dict(weight=W, density=0.4)),
    ("ties", dict(weight=W, density=[0.2, 0.5, 0.9], normalize=False)),
    ("ties", dict(weight=W, density=0.4, rescale=True)),
    ("dare_linear", dict(weight=W, density=1.0)),
    ("dare_ties", dict(weight=W, density=1.0)),
    ("breadcrumbs", dict(weight=W, density=0.6, gamma=0.1)),
    ("breadcrumbs_ties", dict(weight=W, density=0.6, gamma=0.1, rescale=True)),
    ("breadcrumbs_ties", dict(weight=W, density=0.95, gamma=0.2, normalize=True)),
    ("della", dict(weight=W, density=1.0)),
    ("della_linear", dict(weight=W, density=1.0)),
    ("model_stock", dict()),
    ("model_stock", dict(filter_wise=True)),
    ("karcher", dict(max_iter=100)),
]


def words(values):
    return " ".join(repr(float(v)) for v in values.flatten().double())


def text(v):
    if isinstance(v, list):
        return ",".join(map(str, v))
    return str(v).lower() if isinstance(v, bool) else str(v)


with open("merges.txt", "w") as f:
    print("# written by merges.py, mergekit 0.1.5, torch", torch.__version__, file=f)
    for dtype, name in [(torch.float32, "F32"), (torch.bfloat16, "BF16"), (torch.float16, "F16")]:
        inputs = [x.to(dtype) for x in [base] + tuned]
        for i, x in enumerate(inputs):
            print(f"{name} input {i}: {words(x)}", file=f)
        for method, parameters in CASES:
            given = inputs[:2] if method == "slerp" else inputs
            index = None if method in ("linear", "karcher") else 0
            p = dict(parameters)
            if index == 0 and "weight" in p:  # for the inputs but the base
                for k in ("weight", "density"):
                    if isinstance(p.get(k), list):
                        p[k] = dict(zip([1, 2, 3], p[k]))
            out = merge_tensors(given, method, parameters=p, ids=list(range(len(given))), base_index=index)
            assert out.dtype == dtype
            flags = " ".join(f"{k}={text(v)}" for k, v in parameters.items())
            print(f"{name} {method} {flags}: {words(out)}", file=f)
