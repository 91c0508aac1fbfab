"""``python -m sarwater``."""

import sys

from sarwater.cli import main

if __name__ == "__main__":
    sys.exit(main())
