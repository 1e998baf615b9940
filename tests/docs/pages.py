"""Reads the documentation's pages and runs what stands in them, as a reader would.

A page is a folder and a shell; the pages of the tutorial share a folder, one after the other. Blocks run in the order of the page:

- `python` blocks run one after the other in one namespace; a block that begins with a comment `# name.py` is saved under that
  name instead, to be imported or served by later blocks; `ini` and `toml` blocks are parsed, and saved in the same way.
- `console` blocks are typed into one bash, line by line after `$ `; what is printed must be what the page shows, where `...`
  stands for anything. A server that a page starts is started on a free port, which then stands for the one on the page.
- `html` and `javascript` blocks are saved under the name in their first comment; `json` and `pyi` blocks (signatures) must parse.
- `typescript` blocks are parts of the files of `examples/typescript`, which the tests compile and run.
- `text` blocks are not run, and neither is a command that fetches packages or the sources (see `FETCHES`).
"""

from __future__ import annotations

import ast
import configparser
import doctest
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import types
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent.parent
FETCHES = re.compile(r"\b(?:pip install|git clone|npm|apt-get)\b")
"""Commands that need the network: `.ci/run` and the package tests run these."""
SERVES = re.compile(r"\bflask\b.* run\b|-m examples\.demo$|app\.py$|^gunicorn\b")
PORT = "127.0.0.1:5000"
SHELL_PROMPT, MORE = "$ ", "> "
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and the line it begins at."""

    language: str
    text: str
    line: int

    @property
    def file_name(self) -> str | None:
        """The name that its first line gives, if it does."""
        match = re.match(r"(?:#|//|<!--) ([\w/]+\.(?:py|ini|toml|js|html))(?: -->)?\n", self.text)
        return match[1] if match else None


def page_paths() -> list[Path]:
    """Every page that is written by hand or made: README, the project's papers, and all of docs."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def runs() -> list[list[Path]]:
    """What runs together, in order, in one folder: each page by itself, and the steps of the tutorial."""
    steps = [path for path in page_paths() if path.parent.name == "tutorial"]
    alone = [[path] for path in page_paths() if path not in steps and any(blocks(path))]
    return [steps, *alone]


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    lines = path.read_text(encoding="utf-8").split("\n")
    begun: tuple[str, int] | None = None
    for number, line in enumerate(lines, start=1):
        if not line.lstrip().startswith("```"):
            continue
        if begun is None:
            begun = (line.strip().removeprefix("```").strip(), number)
        else:
            yield Block(begun[0], "\n".join(lines[begun[1] : number - 1]) + "\n", begun[1])
            begun = None
    assert begun is None, f"{path}:{begun and begun[1]}: the block has no end"


@dataclass
class Page:
    """One page being run in a folder of its own."""

    path: Path
    folder: Path
    commands: Path | None = None
    """A folder of commands that are found before those of the system."""
    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("page"))
    shell: Shell | None = None

    def run(self, block: Block) -> None:
        place = f"{self.path.relative_to(ROOT)}:{block.line}"
        match block.language:
            case "python" if block.file_name:
                self._save(block.file_name, block.text)
            case "python":
                sys.modules["page"] = self.module  # where SQLAlchemy looks for what annotations name
                exec(compile("\n" * block.line + block.text, str(self.path), "exec"), self.module.__dict__)  # noqa: S102  # what the page says
            case "console":
                self._type(block, place)
            case "toml":
                tomllib.loads(block.text)
                self._save(block.file_name, block.text)
            case "ini":
                configparser.ConfigParser().read_string(block.text)
                self._save(block.file_name, block.text)
            case "html" | "javascript" if block.file_name:
                self._save(block.file_name, block.text)
            case "json":
                json.loads(block.text)
            case "pyi":
                ast.parse(block.text)
            case "typescript":
                files = [file.read_text(encoding="utf-8") for file in (ROOT / "examples" / "typescript").glob("*.ts")]
                assert any(block.text in text for text in files), f"{place}: no file of examples/typescript has this in it"
            case "text":
                pass
            case other:
                raise AssertionError(f"{place}: nobody runs blocks of {other!r}")

    def close(self) -> None:
        sys.modules.pop("page", None)
        if self.shell:
            self.shell.close()

    def _save(self, name: str | None, text: str) -> None:
        if name:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")

    def _type(self, block: Block, place: str) -> None:
        self.shell = self.shell or Shell(self.folder, self.commands)
        for command, wanted in commands(block.text):
            if FETCHES.search(command):
                continue
            if SERVES.search(command):
                self.shell.serve(command)
                continue
            got = self.shell.type(command)
            assert doctest.OutputChecker().check_output(wanted, got, OPTIONS), (
                f"{place}: {command}\nprints\n{got}\nand not\n{wanted}"
            )


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output shown below it."""
    command, shown = "", ""
    for line in text.splitlines():
        if line.startswith(SHELL_PROMPT):
            if command:
                yield command, shown
            command, shown = line.removeprefix(SHELL_PROMPT), ""
        elif line.startswith(MORE) and not shown:
            command += "\n" + line.removeprefix(MORE)
        else:
            assert command, f"a console block begins with {SHELL_PROMPT!r}: {line}"
            shown += line + "\n"
    if command:
        yield command, shown


def shell_environment() -> dict[str, str]:
    """What every page's commands find in their environment."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error::DeprecationWarning:flask_accounts",
        "NO_COLOR": "1",
    }


class Shell:
    """A bash that keeps its variables between commands, and the server that a page starts."""

    def __init__(self, folder: Path, commands: Path | None = None) -> None:
        self.port = free_port()
        self.environment = shell_environment() | {"FLASK_RUN_PORT": str(self.port), "PORT": str(self.port)}
        if commands:
            self.environment["PATH"] = f"{commands}{os.pathsep}{self.environment['PATH']}"
        self.folder = folder
        self._server: subprocess.Popen[bytes] | None = None
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=folder, env=self.environment,
        )  # fmt: skip

    def type(self, command: str) -> str:
        """What the command prints; AssertionError if it fails."""
        stdin, stdout = _pipes(self._bash)
        end = "--- the command has ended with"
        stdin.write(f"{self._moved(command)}\nstatus=$?\necho\necho '{end}' $status\n".encode())
        stdin.flush()
        printed: list[str] = []
        while line := stdout.readline().decode():
            if line.startswith(end):
                got = "".join(printed).rstrip("\n") + "\n"
                assert line.split()[-1] == "0", f"{command}\nfailed:\n{got}"
                return got if got.strip() else ""
            printed.append(line.replace(str(self.port), "5000"))
        raise AssertionError(f"{command}\nended the shell:\n{''.join(printed)}")

    def serve(self, command: str) -> None:
        """Start the server and wait until it answers."""
        assert self._server is None, "one server a page"
        self.type("export -p > .exported")  # what the page has exported so far counts for the server too
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                ["bash", "-c", f". ./.exported; exec {self._moved(command.removesuffix(' &'))}"],
                cwd=self.folder, env=self.environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self._server.poll() is None, f"{command}\nended:\n{(self.folder / 'server.log').read_text()}"
            assert time.monotonic() < deadline, f"{command} does not answer:\n{(self.folder / 'server.log').read_text()}"
            time.sleep(0.05)  # a process of its own: there is nothing else to wait on

    def close(self) -> None:
        _pipes(self._bash)[0].close()
        self._bash.wait(timeout=10)
        _pipes(self._bash)[1].close()
        if self._server:
            self._server.terminate()
            self._server.wait(timeout=10)

    def _moved(self, command: str) -> str:
        return command.replace(PORT, f"127.0.0.1:{self.port}")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
        except urllib.error.HTTPError as error:
            error.close()
        except OSError:
            return False
        return True


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin
    assert process.stdout
    return process.stdin, process.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
