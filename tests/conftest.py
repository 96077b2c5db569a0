"""One thread for torch: its tensors here are tiny, and threads that wait for work cost most."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported
