"""Writes peers.txt: what SciPy says of two samples in two columns. Run beside the file: python peers.py"""

import numpy as np
import scipy
from scipy import stats

SEED = 1993
rng = np.random.default_rng(SEED)
# The first column has no ties, the second many.
a = np.column_stack([rng.normal(size=60), rng.integers(0, 9, size=60)]).astype(np.float32)
b = np.column_stack([rng.normal(0.4, 1.2, size=45), rng.integers(1, 11, size=45)]).astype(np.float32)

out = {"reference": a, "window": b}
for j in range(2):
    x, y = a[:, j].astype(float), b[:, j].astype(float)
    ks = stats.ks_2samp(x, y, method="exact")
    out[f"ks.{j}"] = np.array([ks.statistic, ks.pvalue])
    out[f"wasserstein.{j}"] = np.array([stats.wasserstein_distance(x, y)])
    out[f"energy.{j}"] = np.array([stats.energy_distance(x, y) ** 2])
cvm = stats.cramervonmises_2samp(a[:, 0].astype(float), b[:, 0].astype(float), method="asymptotic")
out["cramervonmises.0"] = np.array([cvm.statistic, cvm.pvalue])

with open("peers.txt", "w") as f:
    f.write(f"# scipy {scipy.__version__}, numpy {np.__version__}, peers.py, seed {SEED}: name, columns, values row by row\n")
    for name, v in out.items():
        v = np.atleast_2d(v)
        f.write(" ".join([name, str(v.shape[1])] + [repr(float(x)) for x in v.ravel()]) + "\n")
