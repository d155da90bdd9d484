"""The benchmarks are no installed package, and on `pythonpath` this folder would pass for theirs."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
