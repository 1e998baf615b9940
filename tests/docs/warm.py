"""A `flask` command that starts warm: most of what a page's commands cost is importing, over and over, what has not changed.

One process imports the packages and waits. The command `flask` that pages find asks it to fork; the fork takes over the caller's
arguments, environment, folder and streams, runs Flask's own `main`, and ends as any process does. What it runs is the same, in a
process of its own; only the imports are shared.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CLIENT = """\
#!{python} -ES
import json, os, signal, socket, sys
asked = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(asked)
    with server.makefile("r") as said:
        pid = int(said.readline())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: os.kill(pid, number))
        status = int(said.readline() or -1)
sys.exit(status if status >= 0 else 128 - status)
"""


@contextlib.contextmanager
def warm_flask(folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    """A folder for the front of PATH, with `flask` in it."""
    address = folder / "socket"
    command = folder / "bin" / "flask"
    command.parent.mkdir()
    command.write_text(CLIENT.format(python=sys.executable, address=str(address)), encoding="utf-8")
    command.chmod(0o755)
    server = subprocess.Popen([sys.executable, __file__, str(address)], env=environment)
    try:
        deadline = time.monotonic() + 120
        while not address.exists():
            assert server.poll() is None, "the process that imports for all commands has ended"
            assert time.monotonic() < deadline, "the process that imports for all commands does not come up"
            time.sleep(0.02)  # a process of its own: there is nothing else to wait on
        yield command.parent
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_for_work(address: str) -> list[str]:
    """Fork for each caller. Returns, in the fork, the caller's arguments; everything else of the caller is in place then."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address + ".new")
        listener.listen(16)
        os.rename(address + ".new", address)  # whoever sees it can connect
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            caller, _ = listener.accept()
            with caller:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    listener.close()
                    return _take_over(caller)


def _take_over(caller: socket.socket) -> list[str]:
    """Become two: one that runs the command, and one that tells the caller how it ended."""
    size, streams, _, _ = socket.recv_fds(caller, 8, 3)
    with caller.makefile("rb") as reader:
        arguments, environment, folder = json.loads(reader.read(int.from_bytes(size, "big")))
    child = os.fork()
    if child:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            caller.sendall(f"{child}\n".encode())
            _, status = os.waitpid(child, 0)
            caller.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    caller.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    given: list[str] = arguments
    return given


def _main(address: str) -> Any:  # never returns: Flask's `main` ends the process
    import flask.cli

    import flask_accounts.testing  # noqa: F401  # imported for all, as are those above

    given = wait_for_work(address)
    sys.argv[:] = ["flask", *given]
    sys.path[0] = str(Path(sys.executable).parent)  # as for the script that it stands for
    flask.cli.main()


if __name__ == "__main__":
    _main(sys.argv[1])
