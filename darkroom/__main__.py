"""`python -m darkroom`, the same as the console script `darkroom`."""

import sys

from darkroom.cli import main

sys.exit(main())
