"""``python -m monops_nn`` is the command ``monops``."""

import sys

from monops_nn.cli import main

sys.exit(main())
