"""Run a command if an environment variable names the server it needs; else say that it is skipped.

python tools/on_server.py TEST_POSTGRES_URL pytest --database postgresql
"""

from __future__ import annotations

import os
import subprocess
import sys


def main() -> int:
    variable, *command = sys.argv[1:]
    if not os.environ.get(variable):
        print(f"SKIPPED: {variable} is not set, so nothing was tested on that server.")
        return 0
    return subprocess.run(command, check=False).returncode  # noqa: S603  # the caller's own command


if __name__ == "__main__":
    sys.exit(main())
