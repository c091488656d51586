"""Writes tabular.txt: what scikit-learn and PyOD say of a small table, one asked row at a time.

    python3 -m venv /tmp/pyod && /tmp/pyod/bin/pip install pyod scikit-learn numba
    /tmp/pyod/bin/python detect/testdata/tabular.py > detect/testdata/tabular.txt
"""

import warnings

import numpy as np
import pyod
import sklearn
from pyod.models.copod import COPOD
from pyod.models.ecod import ECOD
from pyod.models.knn import KNN
from sklearn.neighbors import LocalOutlierFactor

warnings.filterwarnings("ignore")
r = np.random.default_rng(7)


def rows(n):  # multiples of 1/64, exact in float32; both sides of skewness
    x = np.stack([r.standard_normal(n), r.exponential(size=n), -r.exponential(size=n), r.exponential(size=n) ** 2], axis=1)
    return np.round(64 * x) / 64


train, query = rows(60), rows(12) * 1.5


def alone(detector):
    detector.fit(train)
    return [detector.decision_function(q[None])[0] for q in query]


def show(name, values):
    values = np.asarray(values)
    print(name, values.shape[1] if values.ndim == 2 else 1, *(repr(float(v)) for v in values.ravel()))


print(f"# detect/testdata/tabular.py, scikit-learn {sklearn.__version__}, pyod {pyod.__version__}")
show("train", train)
show("query", query)
show("lof20", -LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train).score_samples(query))
show("lof5", -LocalOutlierFactor(n_neighbors=5, novelty=True).fit(train).score_samples(query))
show("knn5", alone(KNN()))
show("ecod", alone(ECOD()))
show("copod", alone(COPOD()))
together = ECOD()
together.fit(train)
show("ecod_together", together.decision_function(query))
