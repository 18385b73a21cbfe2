"""All tests: one thread for BLAS and OpenMP, set before NumPy is imported.

The arrays of the tests are small. With more threads, those that wait for the next small product keep the cores busy:
half of the processor time of a small round. A process that a test starts inherits the limit.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
