"""Makes golden.txt: numbers of scikit-learn and SciPy on small seeded data, for metric's golden test.

    python3 -m venv v && v/bin/pip install scikit-learn scipy && v/bin/python golden.py > golden.txt

Calibration errors are not in scikit-learn; they are computed here from their definitions with numpy's digitize and array_split,
which share no code with the Go side.
"""
import numpy as np, scipy, sklearn
from scipy import stats
from sklearn import metrics as m

SEED = 1993
rng = np.random.default_rng(SEED)
print(f"# Made by golden.py (beside this file), seed {SEED}, with scikit-learn {sklearn.__version__}, SciPy {scipy.__version__}, NumPy {np.__version__}.")
print("# A case is 'case NAME', then 'in NAME values…' and 'want NAME value(s)…' lines.")


def line(kind, name, values):
    values = np.atleast_1d(values).ravel()
    print(kind, name, *(repr(int(v)) if np.issubdtype(values.dtype, np.integer) else repr(float(v)) for v in values))


def fpr(y, s, tpr, drop):
    f, t, _ = m.roc_curve(y, s, drop_intermediate=drop)
    return f[np.argmax(t >= tpr)]


def pr_area(y, s):
    p, r, _ = m.precision_recall_curve(y, s)
    return m.auc(r, p)


def scores(name, neg, pos):
    print("case scores", name)
    y, s = np.r_[np.zeros(len(neg)), np.ones(len(pos))], np.r_[neg, pos]
    line("in", "negative", neg), line("in", "positive", pos)
    line("want", "auroc", m.roc_auc_score(y, s))
    line("want", "aupr_out", pr_area(y, s)), line("want", "aupr_in", pr_area(1 - y, -s))
    line("want", "average_precision", m.average_precision_score(y, s))
    line("want", "fpr95_out", fpr(y, s, .95, False)), line("want", "fpr95_in", fpr(1 - y, -s, .95, False))
    line("want", "fpr95_out_corners", fpr(y, s, .95, True))
    line("want", "fpr80", fpr(y, s, .8, False))


scores("continuous", rng.normal(0, 1, 57), rng.normal(1.3, 1.5, 41))
scores("rounded", np.round(rng.normal(0, 1, 80), 1), np.round(rng.normal(1, 1, 60), 1))
scores("heavy-ties", rng.integers(0, 4, 70).astype(float), rng.integers(1, 6, 33).astype(float))
scores("few", np.array([0.1, 0.4]), np.array([0.35, 0.8]))
scores("separated", rng.uniform(0, 1, 12), rng.uniform(2, 3, 9))
scores("reversed", rng.uniform(2, 3, 12), rng.uniform(0, 1, 9))
scores("constant", np.ones(6), np.ones(4))


def ece_bins(b, n_bins, p, hit):
    return sum(abs(hit[b == k].mean() - p[b == k].mean()) * (b == k).mean() for k in range(n_bins) if (b == k).any())


def width(p, n_bins):  # (lo, hi]
    return np.maximum(np.digitize(p, np.linspace(0, 1, n_bins + 1), right=True) - 1, 0)


def mass(p, n_bins):
    b = np.empty(len(p), int)
    for k, part in enumerate(np.array_split(np.argsort(p, kind="stable"), n_bins)):
        b[part] = k
    return b


def classify(name, n, k, sharp):
    print("case classify", name)
    z = rng.normal(0, 1, (n, k))
    y = np.array([rng.choice(k, p=np.exp(v) / np.exp(v).sum()) for v in z])
    y[:k] = np.arange(k)
    logits = z * sharp
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    hat = p.argmax(1)
    line("in", "classes", k), line("in", "labels", y), line("in", "logits", logits), line("in", "probabilities", p), line("in", "predicted", hat)
    line("want", "accuracy", m.accuracy_score(y, hat))
    w = stats.binomtest(int((y == hat).sum()), n).proportion_ci(method="wilson")
    line("want", "wilson", [w.low, w.high])
    line("want", "balanced_accuracy", m.balanced_accuracy_score(y, hat))
    line("want", "macro_f1", m.f1_score(y, hat, average="macro"))
    line("want", "confusion", m.confusion_matrix(y, hat))
    line("want", "nll", m.log_loss(y, p, labels=range(k)))
    line("want", "brier", m.brier_score_loss(y, p, labels=range(k), scale_by_half=False) if k > 2 else 2 * m.brier_score_loss(y, p[:, 1]))
    cold = np.exp(logits / 2.5) / np.exp(logits / 2.5).sum(1, keepdims=True)
    line("want", "nll_temperature_2.5", m.log_loss(y, cold, labels=range(k)))
    top, hit = p.max(1), (hat == y).astype(float)
    line("want", "ece", ece_bins(width(top, 15), 15, top, hit))
    line("want", "ece_10", ece_bins(width(top, 10), 10, top, hit))
    line("want", "ece_mass_10", ece_bins(mass(top, 10), 10, top, hit))
    line("want", "classwise", np.mean([ece_bins(width(p[:, c], 15), 15, p[:, c], (y == c).astype(float)) for c in range(k)]))
    line("want", "classwise_mass_10", np.mean([ece_bins(mass(p[:, c], 10), 10, p[:, c], (y == c).astype(float)) for c in range(k)]))
    b = width(top, 15)
    line("want", "maximum", max(abs(hit[b == c].mean() - top[b == c].mean()) for c in range(15) if (b == c).any()))


classify("four", 120, 4, 1.7)
classify("two", 60, 2, 1.0)
classify("nine", 90, 9, 3.0)

print("case means t")
a, b = rng.normal(.9, .01, 5), rng.normal(.89, .01, 5)
line("in", "a", a), line("in", "b", b)
line("want", "mean", [a.mean(), *stats.t.interval(.95, 4, a.mean(), stats.sem(a))])
line("want", "paired99", [(a - b).mean(), *stats.t.interval(.99, 4, (a - b).mean(), stats.sem(a - b))])
