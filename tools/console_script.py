"""Write the `careledger` console script into a virtual environment.

The package is used from the checkout (a .pth file), because building it would need a build backend
from a registry that the hash lock does not cover.
"""

import sys
from pathlib import Path

BODY = """#!{python}
import sys

from careledger.cli.main import main

sys.exit(main())
"""


def main() -> None:
    """Write the script beside the interpreter of the environment named on the command line."""
    bin_dir = Path(sys.argv[1]).resolve()
    script = bin_dir / "careledger"
    script.write_text(BODY.format(python=bin_dir / "python"))
    script.chmod(0o755)


if __name__ == "__main__":
    main()
