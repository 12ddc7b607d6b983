"""`python -m local`"""

import sys
from pathlib import Path

# `make` says this by PYTHONPATH; whoever types it does not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "signalbox"))

from local.cli import main

sys.exit(main())
