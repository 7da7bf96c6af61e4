"""Run every benchmark of this folder, one after the other; ``--quick`` stores nothing.

The sweeps come first: they alone need two idle cores.
"""

import subprocess
import sys
import time
from pathlib import Path

ORDER = [
    "sweeps",
    "batched_factorisation",
    "sparse_coding",
    "similarity",
    "grid",
    "embeddings",
    "dictionary_learning",
]

for name in ORDER:
    print(f"== {name}", flush=True)
    start = time.monotonic()
    script = Path(__file__).with_name(f"{name}.py")
    subprocess.run([sys.executable, str(script), *sys.argv[1:]], check=True)
    print(f"== {name}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
