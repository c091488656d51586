"""Writes detect/testdata/logits.txt: what pytorch-ood says of a small table of features and the logits of a last layer.

Run at the repository's root, in an environment of its own: pip install torch pytorch-ood scikit-learn; python bench/detect_golden.py
Relation and residual are not in pytorch-ood: they are written here from the papers' formulas.
"""

import numpy as np
import sklearn
import torch
import pytorch_ood
from importlib.metadata import version
from pytorch_ood import detector as peer
from sklearn.decomposition import PCA

SEED = 1993
rng = np.random.default_rng(SEED)
N, D, K = 60, 16, 4
# Features out of a ReLU, multiples of 1/1024, no two positive ones of a row alike, for peers keep either of equal ones;
# weights multiples of 1/64: exact in float32.
labels = rng.integers(0, K, N)


def rows(n, classes, spread):
    x = rng.normal(size=(n, D)) * spread
    x[np.arange(n), classes] += 4
    x[np.arange(n), classes + K] += 3
    return np.maximum(np.round((x + 1.5) * 16) / 16, 0) + np.arange(D) / 1024 * (x > -1)


train, query = rows(N, labels, 1.0), rows(12, rng.integers(0, K, 12), 2.0)
weight = np.round(rng.normal(size=(K, D)) * 0.2 * 64) / 64
for c in range(K):
    weight[c, c] += 0.75
    weight[c, c + K] += 0.5
bias = np.array([0.5, 0.25, 0.75, 0.5])

torch.set_default_dtype(torch.float64)
z, q, y = torch.tensor(train), torch.tensor(query), torch.tensor(labels)
head = torch.nn.Linear(D, K)
with torch.no_grad():
    head.weight.copy_(torch.tensor(weight))
    head.bias.copy_(torch.tensor(bias))


def single(x):
    """The head, for peers that turn features into float32."""
    return torch.nn.functional.linear(x.double(), head.weight, head.bias)


def maps(x):
    return x[:, :, None, None]


def flat(x):
    return single(x.flatten(1))


out = {"train": train, "labels": labels.astype(float), "query": query, "weight": weight, "bias": bias}
with torch.no_grad():
    zl, ql = single(z), single(q)
    out["maxlogit"] = peer.MaxLogit.score(ql)
    out["odin"] = -torch.softmax(ql / 1000, dim=1).max(dim=1).values
    out["energy"] = peer.EnergyBased.score(ql)
    out["gen"] = peer.GEN.score(ql, gamma=0.1, M=3)
    out["klmatching"] = peer.KLMatching(None).fit_logits(zl).predict_logits(ql)
    for q_, name in ((0.65, "65"), (0.9, "90")):
        for variant in ("ash-s", "ash-b", "ash-p"):
            out[f"{variant}.{name}"] = peer.ASH(maps, flat, variant=variant, percentile=q_).predict_feature_maps(maps(q))
        out[f"scale.{name}"] = peer.SCALE(maps, flat, percentile=q_).predict_feature_maps(maps(q))
        react = peer.ReAct(maps, flat, percentile=q_)
        react.fit_feature_maps(maps(z), y)
        out[f"react.{name}"] = react.predict_feature_maps(maps(q))
        torch.set_default_dtype(torch.float32)  # this peer mixes them up otherwise
        out[f"dice.{name}"] = peer.DICE(None, head.weight, head.bias, p=q_).fit_features(z, y).predict_features(q)
        torch.set_default_dtype(torch.float64)
    out["vim"] = peer.ViM(None, 8, head.weight, head.bias).fit_features(z, y).predict_features(q)
    rmd = peer.RMD(None).fit_features(z, y)
    out["rmds"] = rmd.predict_features(q) * N  # its covariances are sums over rows, not divided by N
    out["she"] = peer.SHE(None, single).fit_features(z, y).predict_features(q)
    out["nnguide"] = peer.NNGuide(None, single, k=5).fit_features(z, y).predict_features(q)
    double = torch.nn.Linear(D, K, dtype=torch.float32)
    double.weight.copy_(head.weight)
    double.bias.copy_(head.bias)
    out["fdbd"] = peer.fDBD(None, double).fit_features(z).predict_features(q)

    unit = lambda x: x / x.norm(dim=1, keepdim=True)
    relation = (unit(q) @ unit(z).T).clamp(min=0) * (torch.softmax(ql, 1) @ torch.softmax(zl, 1).T)
    out["relation"] = -torch.where(relation > 0.03, relation**2, 0).mean(dim=1)

# The same as its ViM, which computes in float32, in float64 by the paper's formulas.
origin = -np.linalg.pinv(weight) @ bias
_, vectors = np.linalg.eigh((train - origin).T @ (train - origin))
outside = vectors[:, :8]
virtual = lambda x: np.linalg.norm((x - origin) @ outside, axis=1)
factor = zl.numpy().max(axis=1).mean() / virtual(train).mean()
out["vim.double"] = factor * virtual(query) - torch.logsumexp(ql, dim=1).numpy()

pca = PCA(n_components=8, svd_solver="full").fit(train)
out["residual"] = np.linalg.norm(query - pca.inverse_transform(pca.transform(query)), axis=1)

with open("detect/testdata/logits.txt", "w") as f:
    f.write(f"# Made by bench/detect_golden.py, seed {SEED}, with pytorch-ood {version('pytorch-ood')}, PyTorch {torch.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}.\n")
    f.write("# A line is a name, the number of columns, and the values by rows.\n")
    for name, v in out.items():
        v = np.asarray(v)
        columns = v.shape[1] if v.ndim == 2 else 1
        f.write(" ".join([name, str(columns), *(repr(float(x)) for x in v.ravel())]) + "\n")
