"""Say in one line whether this Python can run mien (kept readable by any Python 3)."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "mien needs Python 3.11, 3.12 or 3.13; this is %d.%d."
        " Name another one: make PYTHON=python3.12" % sys.version_info[:2]
    )
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit(
        "this Python cannot make virtual environments; install its venv module"
        " (on Debian or Ubuntu: apt install python3-venv)"
    )
