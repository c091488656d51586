"""Writes gaussianad.txt: what scikit-learn and SciPy say of a small table. Run beside the file: python gaussianad.py"""

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn.covariance import EmpiricalCovariance, LedoitWolf, OAS
from sklearn.decomposition import PCA

SEED = 1993
rng = np.random.default_rng(SEED)
# Multiples of 1/16 with heavy tails and correlated columns of different spread.
mix = rng.normal(size=(5, 5)) * [4, 2, 1, 0.5, 0.25]
train = np.round((rng.standard_t(5, size=(40, 5)) @ mix + [10, -3, 0, 100, 7]) * 16) / 16
query = np.round((rng.standard_t(3, size=(6, 5)) @ mix + [11, -3, 0, 99, 7]) * 16) / 16

out = {"train": train, "query": query}
for name, model in {"ledoit-wolf": LedoitWolf(), "oas": OAS(), "none": EmpiricalCovariance()}.items():
    model.fit(train)
    out[name + ".intensity"] = np.array([getattr(model, "shrinkage_", 0.0)])
    out[name + ".score"] = np.sqrt(model.mahalanobis(query))

pca = PCA(svd_solver="full").fit(train)
n = len(train)
out["pca.variance"] = pca.explained_variance_ * (n - 1) / n  # divided by N
leading = int(np.searchsorted(np.cumsum(pca.explained_variance_ratio_), 0.9) + 1)
a, q = pca.transform(train), pca.transform(query)
out["pca.leading"] = np.array([leading])
for name, kept in {"leading": slice(0, leading), "trailing": slice(leading, None)}.items():
    for shrinkage, model in {"oas": OAS(), "none": EmpiricalCovariance()}.items():
        model.fit(a[:, kept])
        out[f"{name}.{shrinkage}.score"] = np.sqrt(model.mahalanobis(q[:, kept]))

cases = [(p, k) for p in (1e-6, 0.05, 0.5, 0.9973, 0.999999) for k in (1, 2, 5, 512, 4096)]
out["chi2.case"] = np.array(cases)
out["chi2.quantile"] = np.array([scipy.stats.chi2.ppf(p, k) for p, k in cases])

with open("gaussianad.txt", "w") as f:
    f.write(f"# Made by gaussianad.py (beside this file), seed {SEED}, with scikit-learn {sklearn.__version__}, SciPy {scipy.__version__}, NumPy {np.__version__}.\n")
    f.write("# A line is a name, the number of columns, and the values by rows.\n")
    for name, v in out.items():
        columns = v.shape[1] if v.ndim == 2 else 1
        f.write(" ".join([name, str(columns), *(repr(float(x)) for x in v.ravel())]) + "\n")
