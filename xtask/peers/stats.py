"""Times scipy's two-sample tests: one JSON line a case, seconds a call, the least of several repeats.

    python stats.py ['{"reference": 1000, "small": 100, "large": 1000, "repeats": 7}']

The cases are those of crates/stats/examples/throughput.rs, by the same names. Run it with OMP_NUM_THREADS=1.
"""

import json
import sys
import time
import warnings

import numpy as np
from scipy import stats


def seconds_per_call(call, batches, repeats):
    def run():
        start = time.perf_counter()
        for batch in batches:
            call(batch)
        return (time.perf_counter() - start) / len(batches)

    return min(run() for _ in range(repeats))


def main():
    sizes = {"reference": 1000, "small": 100, "large": 1000, "repeats": 7}
    sizes.update(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
    rng = np.random.default_rng(0)
    n, small, large = sizes["reference"], sizes["small"], sizes["large"]
    reference = rng.random(n)
    few = [rng.random(small) for _ in range(64)]
    many = [rng.random(large) for _ in range(64)]

    def ks(alternative, method):
        return lambda batch: stats.ks_2samp(reference, batch, alternative=alternative, method=method)

    cases = [
        (f"ks asymptotic two-sided {n} vs {small}", ks("two-sided", "asymp"), few),
        (f"ks asymptotic greater {n} vs {small}", ks("greater", "asymp"), few),
        (f"ks exact two-sided {n} vs {small}", ks("two-sided", "exact"), few),
        (f"ks exact two-sided {n} vs {large}", ks("two-sided", "exact"), many),
        (f"cvm asymptotic {n} vs {small}", lambda batch: stats.cramervonmises_2samp(reference, batch), few),
    ]
    warnings.simplefilter("ignore")
    for name, call, batches in cases:
        print(json.dumps({"name": name, "seconds_per_call": seconds_per_call(call, batches, sizes["repeats"])}), flush=True)


if __name__ == "__main__":
    main()
