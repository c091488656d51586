"""Fits and times PyOD's and scikit-learn's detectors on request, for internal/tools/detectors.

At the start it prints how many pairs of detectors there are and one line for each: ours with its flags, a tab, the peer's name.
Then a request a line:

    data FOLDER N M D      reads N training and M test rows of D float32 columns from FOLDER/train.f32 and FOLDER/test.f32
    run PAIR SEED          fits on the training rows, scores the test rows, writes FOLDER/scores.f64;
                           answers the nanoseconds that either took, or "none REASON"
"""

import os
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


class Distance:
    """Mahalanobis distance under a covariance estimate of scikit-learn's."""

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, x):
        self.estimator.fit(x)

    def decision_function(self, x):
        return self.estimator.mahalanobis(x)


def pyod(module, name, seeded=False):
    def make(seed):
        detector = getattr(__import__("pyod.models." + module, fromlist=[name]), name)
        return detector(random_state=seed) if seeded else detector()

    return make


def covariance(name):
    def make(_):
        import sklearn.covariance

        return Distance(getattr(sklearn.covariance, name)())

    return make


# Ours, the peer's name, how it is made, and the most columns that it is asked to take.
pairs = [
    ("detect/ecod", "PyOD ECOD", pyod("ecod", "ECOD"), None),
    ("detect/copod", "PyOD COPOD", pyod("copod", "COPOD"), None),
    ("detect/hbos", "PyOD HBOS", pyod("hbos", "HBOS"), None),
    ("detect/isolationforest", "PyOD IForest", pyod("iforest", "IForest", seeded=True), None),
    ("detect/lof", "PyOD LOF", pyod("lof", "LOF"), None),
    ("detect/oneclasssvm", "PyOD OCSVM", pyod("ocsvm", "OCSVM"), None),
    ("detect/pca", "PyOD PCA", pyod("pca", "PCA", seeded=True), None),
    ("detect/knn --no-normalize=true", "PyOD KNN", pyod("knn", "KNN"), None),
    ("detect/knn", "PyOD KNN", pyod("knn", "KNN"), None),
    ("detect/memorybank", "PyOD KNN", pyod("knn", "KNN"), None),
    ("detect/mahalanobis", "PyOD MCD", pyod("mcd", "MCD", seeded=True), 64),
    ("detect/mahalanobis", "scikit-learn EmpiricalCovariance", covariance("EmpiricalCovariance"), None),
    ("detect/gaussianad", "scikit-learn LedoitWolf", covariance("LedoitWolf"), None),
]


def run(make, limit, seed, train, test):
    if limit is not None and train.shape[1] > limit:
        return None, f"none more than {limit} columns"
    try:
        detector = make(seed)
        start = time.perf_counter_ns()
        detector.fit(train)
        fitted = time.perf_counter_ns()
        scores = detector.decision_function(test)
        done = time.perf_counter_ns()
    except Exception as e:  # what a peer refuses is part of the answer
        return None, "none " + type(e).__name__ + ": " + str(e).replace("\n", " ")
    scores = np.ascontiguousarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        return None, "none scores that are not finite"
    return scores, f"{fitted - start} {done - fitted}"


def main():
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    print(len(pairs), file=answer)
    for ours, peer, _, _ in pairs:
        print(ours, peer, sep="\t", file=answer)
    answer.flush()
    r = np.random.default_rng(0)
    warm = r.standard_normal((300, 5))
    for _, _, make, limit in pairs:  # imports and compiled loops
        run(make, limit, 0, warm, warm)
    folder = train = test = None
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "data":
            folder, n, m, d = rest[0], *map(int, rest[1:])
            train = np.fromfile(folder + "/train.f32", "<f4").reshape(n, d).astype(np.float64)
            test = np.fromfile(folder + "/test.f32", "<f4").reshape(m, d).astype(np.float64)
            print("ready", file=answer, flush=True)
        else:
            _, _, make, limit = pairs[int(rest[0])]
            scores, text = run(make, limit, int(rest[1]), train, test)
            if scores is not None:
                scores.tofile(folder + "/scores.f64")
            print(text, file=answer, flush=True)


main()
