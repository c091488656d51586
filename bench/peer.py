"""Times numpy, scikit-learn and PyTorch on request, as openblas/main.go does OpenBLAS: a request a line, nanoseconds a line,
and behind them the objective that was reached, of work that has one."""

import os
import sys
import time

import numpy as np

tables = {}


def table(n, d, classes):
    """n rows of d normal columns and their labels, made once."""
    key = (n, d, classes)
    if key not in tables:
        tables.clear()  # one at a time: the larger ones take most of the memory
        r = np.random.default_rng(1)
        x = r.standard_normal((n, d), dtype=np.float32)
        tables[key] = x, r.integers(0, classes, n)
    return tables[key]


def moments64(n, d, classes):
    """Sums, scatter and class sums in float64; a mask for each class is the fastest way to the sums that numpy has."""
    x, y = table(n, d, classes)

    def run():
        z = x.astype(np.float64)
        z.T @ z
        z.mean(axis=0)
        np.stack([z[y == c].sum(axis=0) for c in range(classes)])

    return run


def gram32(n, d, classes):
    x, _ = table(n, d, classes)
    return lambda: x.T @ x


def covariance(n, d, classes):
    from sklearn.covariance import EmpiricalCovariance

    x, y = table(n, d, classes)

    def run():
        EmpiricalCovariance().fit(x)
        np.stack([x[y == c].mean(axis=0) for c in range(classes)])

    return run


def fitted(n, d, classes):
    """Queries, class means and a precision matrix with its factor."""
    x, y = table(n, d, classes)
    mean = np.stack([x[y == c].mean(axis=0) for c in range(classes)])
    precision = np.linalg.inv(np.cov(x[:20000].T.astype(np.float64)) + np.eye(d) * 1e-6)
    return x, mean, precision.astype(np.float32), np.linalg.cholesky(precision).astype(np.float32)


def mahalanobis_class(n, d, classes):
    """The quadratic form of each class in turn, as the published code computes it: diag of a product for a batch."""
    x, mean, precision, _ = fitted(n, d, classes)

    def run():
        score = np.full(n, -np.inf, np.float32)
        for c in range(classes):
            for i in range(0, n, 200):
                z = x[i : i + 200] - mean[c]
                score[i : i + 200] = np.maximum(score[i : i + 200], -0.5 * np.diag(z @ precision @ z.T))

    return run


def mahalanobis_white(n, d, classes):
    x, mean, _, factor = fitted(n, d, classes)
    m = mean @ factor
    m2 = (m * m).sum(axis=1)

    def run():
        z = x @ factor
        ((z * z).sum(axis=1)[:, None] - 2 * (z @ m.T) + m2).min(axis=1)

    return run


def neighbours(n, d, k, queries):
    from sklearn.neighbors import NearestNeighbors

    x, _ = table(n + queries, d, 1)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute", n_jobs=-1).fit(x[:n])
    return lambda: index.kneighbors(x[n:])


def fashion():
    """Fashion-MNIST's 60,000×784 pixels in [0, 1], its labels, and the mean variance of a pixel; from $GIMBAL_DATA or ../shared/data."""
    import gzip
    import os

    root = os.path.join(os.environ.get("GIMBAL_DATA", "../shared/data"), "fashion_mnist", "train-")

    def read(name, skip):
        with gzip.open(root + name) as f:
            return np.frombuffer(f.read(), np.uint8)[skip:]

    x = read("images-idx3-ubyte.gz", 16).reshape(-1, 784) / np.float32(255)
    return x, read("labels-idx1-ubyte.gz", 8), float(x.var(axis=0, dtype=np.float64).mean())


def logistic(power, iterations):
    """Penalised as probe.Logistic is with a ridge of 10^-power."""
    import warnings

    from sklearn.linear_model import LogisticRegression

    warnings.filterwarnings("ignore")  # that the iterations did not suffice
    x, y, variance = fashion()
    model = LogisticRegression(C=10**power / (len(x) * variance), max_iter=iterations)

    def objective():
        """Mean log loss and the penalty of probe.Logistic, in float64."""
        z = x.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
        z -= z.max(axis=1, keepdims=True)
        loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
        return loss.mean() + 0.5 * variance / 10**power * (model.coef_.astype(np.float64) ** 2).sum()

    def run():
        model.fit(x, y)
        return objective

    return run


def ridge_path(penalties):
    from sklearn.linear_model import RidgeClassifierCV

    x, y, variance = fashion()
    model = RidgeClassifierCV(alphas=len(x) * variance * np.logspace(3, -5, penalties))
    return lambda: model.fit(x, y)


def audit_labels(rows, classes, batched):
    """Probabilities and labels as the bench makes them: one label in ten is drawn anew."""
    from cleanlab.experimental.label_issues_batched import find_label_issues_batched
    from cleanlab.filter import find_label_issues

    r = np.random.default_rng(1)
    x = r.random((rows, classes), dtype=np.float32)
    x *= r.random((rows, classes), dtype=np.float32)
    y = r.integers(classes, size=rows)
    x[np.arange(rows), y] += 20
    x /= x.sum(axis=1, keepdims=True)
    y = np.where(r.random(rows) < 0.1, r.integers(classes, size=rows), y)
    if batched:
        return lambda: find_label_issues_batched(labels=y, pred_probs=x, verbose=False)
    return lambda: find_label_issues(y, x, return_indices_ranked_by="normalized_margin", n_jobs=int(os.environ["OMP_NUM_THREADS"]))


def ranpac(rows, rank, classes):
    """A task of random features joins the products, and the penalty is chosen among 17 and applied: 18 dense solves."""
    r = np.random.default_rng(1)
    held = np.maximum(r.standard_normal((rank + 50, rank), dtype=np.float32), 0)
    gram, cross = held.T @ held, r.standard_normal((rank, classes), dtype=np.float32)
    del held
    h = np.maximum(r.standard_normal((rows, rank), dtype=np.float32), 0)
    y = np.zeros((rows, classes), dtype=np.float32)
    y[:, -1] = 1

    def run():
        g, q = gram + h.T @ h, cross + h.T @ y
        for ridge in 10.0 ** np.arange(-8, 10):
            np.linalg.solve(g + np.float32(ridge) * np.eye(rank, dtype=np.float32), q)

    return run


def vector(name, rows, cols):
    """A function of rows × cols float32 values in numpy, into arrays that are made once: no time goes into fresh memory."""
    x = np.random.default_rng(1).standard_normal((rows, cols), dtype=np.float32)
    y, z = np.empty_like(x), np.empty_like(x)
    gain, shift = x[0].copy(), x[1].copy()

    def gelu():
        np.multiply(x, x, out=y)
        np.multiply(y, np.float32(0.044715), out=y)
        np.add(y, 1, out=y)
        np.multiply(y, x, out=y)
        np.multiply(y, np.float32(np.sqrt(2 / np.pi)), out=y)
        np.tanh(y, out=y)
        np.add(y, 1, out=y)
        np.multiply(y, x, out=y)
        np.multiply(y, np.float32(0.5), out=y)

    def softmax():
        np.subtract(x, x.max(axis=1, keepdims=True), out=y)
        np.exp(y, out=y)
        np.divide(y, y.sum(axis=1, keepdims=True), out=y)

    def layernorm():
        np.subtract(x, x.mean(axis=1, keepdims=True), out=y)
        np.multiply(y, y, out=z)
        np.divide(y, np.sqrt(z.mean(axis=1, keepdims=True) + np.float32(1e-5)), out=y)
        np.multiply(y, gain, out=y)
        np.add(y, shift, out=y)

    return {"exp": lambda: np.exp(x, out=y), "tanh": lambda: np.tanh(x, out=y), "gelu": gelu, "softmax": softmax, "layernorm": layernorm}[name]


def vector_torch(name, rows, cols):
    """The same in PyTorch; gelu is the exact form, its default."""
    import os

    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    x = torch.randn(rows, cols)
    y, gain, shift = torch.empty_like(x), x[0].clone(), x[1].clone()
    mean, inverse = torch.empty(rows, 1), torch.empty(rows, 1)
    run = {
        "exp": lambda: torch.exp(x, out=y),
        "tanh": lambda: torch.tanh(x, out=y),
        "gelu": lambda: torch._C._nn.gelu(x, out=y),
        "softmax": lambda: torch.ops.aten._softmax(x, 1, False, out=y),
        "layernorm": lambda: torch.ops.aten.native_layer_norm(x, (cols,), gain, shift, 1e-5, out0=y, out1=mean, out2=inverse),
    }[name]

    def quiet():
        with torch.inference_mode():
            run()

    return quiet


def neighbours_faiss(n, d, k, queries):
    import faiss

    x, _ = table(n + queries, d, 1)
    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    index = faiss.IndexFlatL2(d)
    index.add(x[:n])
    return lambda: index.search(x[n:], k)


def read_npy(n, d, _, path):
    return lambda: np.load(path)


def read_parquet(n, d, _, path):
    import pyarrow.parquet

    return lambda: pyarrow.parquet.read_table(path)


def read_csv(n, d, _, path):
    import pandas

    return lambda: pandas.read_csv(path)


START = """
import pickle, sys
import numpy, sklearn.covariance
with open(sys.argv[1], "rb") as f:
    model = pickle.load(f)
print(model.mahalanobis(numpy.load(sys.argv[2])))
"""


def start(n, d, _, path):
    """A process that imports, loads a fitted covariance, and scores one row."""
    import pickle
    import subprocess
    from sklearn.covariance import EmpiricalCovariance

    saved = path + ".pickle"
    with open(saved, "wb") as f:
        pickle.dump(EmpiricalCovariance().fit(table(n, d, 1)[0]), f)
    return lambda: subprocess.run([sys.executable, "-c", START, saved, path], check=True, stdout=subprocess.DEVNULL)


def soup(files, _, __, stem):
    """The mean of checkpoints, one tensor of all at a time, in float32, into one file."""
    from contextlib import ExitStack
    from safetensors import safe_open
    from safetensors.numpy import save_file

    def run():
        out = {}
        with ExitStack() as stack:
            inputs = [stack.enter_context(safe_open(f"{stem}-{k}.safetensors", framework="np")) for k in range(files)]
            for name in inputs[0].keys():
                total = inputs[0].get_tensor(name)
                for other in inputs[1:]:
                    total = total + other.get_tensor(name)
                out[name] = total / np.float32(files)
        save_file(out, stem + "-peer.safetensors")

    return run


def svd(rows, cols, _):
    x = np.random.default_rng(1).standard_normal((rows, cols))
    return lambda: np.linalg.svd(x, full_matrices=False)


def copy_bytes(files, _, __, stem):
    """Copies so much, to the disk for good, that as many bytes are read and written as a soup of the files reads and writes."""

    def run():
        for k in range(files + 1):  # half a file each time: read and written
            with open(f"{stem}-{k % files}.safetensors", "rb") as source, open(f"{stem}-copy.safetensors", "wb") as target:
                half = os.path.getsize(source.name) // 2
                done = 0
                while done < half:  # in the kernel, as cp does
                    done += os.sendfile(target.fileno(), source.fileno(), done, half - done)
                os.fsync(target.fileno())

    return run


def named(make, name):
    return lambda rows, cols, _: make(name, rows, cols)


work = {f.__name__: f for f in (moments64, gram32, covariance, mahalanobis_class, mahalanobis_white, neighbours, neighbours_faiss, logistic, ridge_path, audit_labels, ranpac, read_npy, read_parquet, read_csv, soup, svd, copy_bytes, start)}
for function in ("exp", "tanh", "gelu", "softmax", "layernorm"):
    work[function] = named(vector, function)
    work[function + "_torch"] = named(vector_torch, function)
ready = {}
for line in sys.stdin:
    name, *sizes = line.split()
    key = line.strip()
    if key not in ready:
        ready.clear()
        ready[key] = work[name](*(int(s) if s.isdigit() else s for s in sizes))
    start = time.perf_counter_ns()
    reached = ready[key]()
    taken = time.perf_counter_ns() - start
    print(taken, reached() if callable(reached) else "", flush=True)  # what was reached is found out after the time was taken
