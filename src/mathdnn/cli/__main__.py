"""`python -m mathdnn.cli` does what `mathdnn` does."""

import sys

from mathdnn.cli import main

sys.exit(main())
