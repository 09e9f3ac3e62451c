"""Write docs/cli.md and docs/config.md; with --check, fail if one of them is stale."""

import sys
from pathlib import Path

from cluster.cli.reference import main

sys.exit(main(Path(__file__).parent, check="--check" in sys.argv))
