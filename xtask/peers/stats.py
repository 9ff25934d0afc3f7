"""Two-sample tests in scipy, driven by `cargo xtask bench stats --peers` as lines.py says.

A question is {"peer", "test", "alternative", "method", "reference", "batch", "seconds"}: test is ks or cvm, reference and batch are numbers of values. The
answer is {"tests_per_second"}.
"""

import os
import warnings

from lines import THREADS, rate, serve

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

BATCHES = 64


class Scipy:
    def __init__(self):
        import numpy
        import scipy
        from scipy import stats

        self.stats, self.version, self.rng = stats, scipy.__version__, numpy.random.default_rng(0)
        warnings.simplefilter("ignore")

    def test(self, ask, reference):
        if ask["test"] == "cvm":
            return lambda batch: self.stats.cramervonmises_2samp(reference, batch, method="asymptotic")
        method = {"asymptotic": "asymp", "exact": "exact"}[ask["method"]]
        return lambda batch: self.stats.ks_2samp(reference, batch, alternative=ask["alternative"], method=method)

    def answer(self, ask):
        test = self.test(ask, self.rng.random(ask["reference"]))
        batches = self.rng.random((BATCHES, ask["batch"]))

        def run():
            for batch in batches:
                test(batch)

        return {"tests_per_second": rate(run, BATCHES, ask["seconds"])}


serve({"scipy": Scipy}, Scipy.answer)
