"""`python -m evalbox` is the command `evalbox`."""

import sys

from evalbox.cli import main

if __name__ == "__main__":
    sys.exit(main())
