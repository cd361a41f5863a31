"""`python -m careledger.demo`: the same as `careledger demo`."""

import sys

from careledger.demo.main import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
