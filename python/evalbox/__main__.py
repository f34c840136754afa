"""`python -m evalbox` is the command `evalbox`."""

import sys

from evalbox.cli import main

sys.exit(main())
