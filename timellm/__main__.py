"""`python -m timellm`: see timellm.cli."""

import sys

from timellm.cli import main

if __name__ == "__main__":
    sys.exit(main())
