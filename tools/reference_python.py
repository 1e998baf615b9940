"""The Python API page: what hosts import, its signatures as the source states them, and its docstrings.

Read from the syntax trees of the modules, since only they hold annotations as written and the docstrings below attributes. A public
name that is in no section of the page, or has no docstring, is an error.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

import flask_accounts
from flask_accounts.core.errors import error_types

ROOT, TESTING, PLUGIN = "flask_accounts", "flask_accounts.testing", "flask_accounts.pytest_plugin"


@dataclass(frozen=True)
class Section:
    """A part of the page: names by the module that hosts import them from."""

    title: str
    text: str
    names: dict[str, list[str]] = field(default_factory=dict)


SECTIONS = [
    Section("Set up", "Made once, at module level, and given to each app.", {
        ROOT: ["Accounts", "default_features", "opt_in_features", "current_accounts", "ConfigurationError"],
    }),
    Section("In views", "Who is calling, and who may. See [the guide](../how-to/protect-routes.md).", {
        ROOT: [
            "current_user", "current_principal", "is_authenticated", "login_required", "roles_required", "permissions_required", "Principal",
        ],
    }),
    Section("Models", "See [the guide to an own user model](../how-to/own-user-model.md).", {
        ROOT: ["UserMixin", "UuidKeyMixin", "SessionMixin", "RevokedTokenMixin", "RoleMixin", "UserRoleMixin"],
    }),
    Section("Schemas", "Pydantic models; subclasses go to `Accounts(schemas={...})`. What every route takes and gives is in [the HTTP API](http-api.md).", {
        ROOT: ["RegisterSchema", "ImportUserSchema", "UpdateUserSchema", "UserSchema", "PublicUserSchema"],
    }),
    Section("Services", "What the routes call, and what your code calls as `accounts.users` and so on. See [the guide](../how-to/services.md).", {
        "flask_accounts.features.users.service": ["UserService"],
        "flask_accounts.features.password.service": ["PasswordService"],
        "flask_accounts.features.sessions.service": ["SessionService"],
        "flask_accounts.features.roles.service": ["RoleService"],
        "flask_accounts.features.invitations.service": ["InvitationService"],
        "flask_accounts.features.export.service": ["ExportService"],
        "flask_accounts.core.login": ["SignIn"],
    }),
    Section("Check-ups", "What `flask accounts doctor` asks. See [the guide](../how-to/check-before-production.md#checks-of-your-own).", {
        ROOT: ["checkup", "Problem", "Deployment", "Checkup"],
    }),
    Section("Errors", "Every error by its code: [errors](errors.md). Each is a class of `flask_accounts.core.errors`.", {
        ROOT: ["AccountsError", "ValidationError"],
        "flask_accounts.core.errors": ["FieldProblem", "ChallengeRequired", "TooManyRequests"],
    }),
    Section("Events", "`flask_accounts.events` holds a class for each thing that happens: [events](events.md).", {ROOT: ["Client"]}),
    Section("Objects of your own", "Protocols that an own object meets, and what it is given. See [extension points](../explanation/extension-points.md).", {
        ROOT: ["Hasher", "Mailer", "Message", "Limiter", "Clock", "LoginAttempt", "PasswordContext"],
        "flask_accounts.core.policies": ["PasswordCheck"],
        "flask_accounts.core.gates": ["Gate"],
    }),
    Section("Own features", "Not stable before 1.0. See [extension points](../explanation/extension-points.md#features).", {
        ROOT: ["Feature", "Service", "Settings", "Runtime"],
    }),
    Section("Testing", "`flask_accounts.testing`, without pytest too. See [the guide](../how-to/testing.md).", {
        "flask_accounts.testing": ["AccountsTesting", "MovableClock", "FastHasher", "PASSWORD"],
    }),
]  # fmt: skip

WRITTEN_ABOUT_ELSEWHERE = {"__version__", "events"}
WIDTH = 100


def python_page() -> str:
    """The page."""
    _check_sections()
    names = _anchors()
    text = [
        "# Python API",
        "",
        "What hosts import. Names without a module are in `flask_accounts`; of the others the module stands beside. What is stable is said in",
        "[extension points](../explanation/extension-points.md#what-is-stable). `Key` is the type of an account's key: `int`, `UUID` or `str`.",
    ]
    for section in SECTIONS:
        text += ["", f"## {section.title}", "", section.text]
        for module, listed in section.names.items():
            for name in listed:
                text += ["", *_entry(module, name)]
    text += ["", "### pytest fixtures", "", "Of the installed plugin, on top of an `app` fixture of your own.", "", *_fixtures()]
    return _linked("\n".join(text), names)


def undocumented() -> list[str]:
    """Public names, and public members of them, that no docstring explains."""
    found = []
    for section in SECTIONS:
        for module, names in section.names.items():
            for name in names:
                node, doc = _definition(*_home(module, name))
                if not doc:
                    found.append(name)
                if isinstance(node, ast.ClassDef):
                    found += [f"{name}.{member.name}" for member in _members(node) if not ast.get_docstring(member)]
    found += [name for name in _public_names(TESTING) if not _definition(TESTING, name)[1]]
    return sorted(set(found))


def _check_sections() -> None:
    listed = {(module, name) for section in SECTIONS for module, names in section.names.items() for name in names}
    wanted = {(ROOT, name) for name in set(flask_accounts.__all__) - WRITTEN_ABOUT_ELSEWHERE}
    wanted |= {(TESTING, name) for name in _public_names(TESTING)}
    if missing := sorted(wanted - listed):
        raise ValueError(f"tools/reference_python.py: put these into a section: {missing}")
    if nameless := undocumented():
        raise ValueError(f"These are public and have no docstring: {nameless}")


def _public_names(module: str) -> list[str]:
    """What a module defines itself, without an underscore."""
    names = []
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names += [target.id for target in _targets(node) if isinstance(target, ast.Name)]
    return [name for name in names if not name.startswith("_")]


# Finding


@functools.cache
def _tree(module: str) -> ast.Module:
    """A module's syntax tree, read without importing it: the pytest plugin is described where there is no pytest."""
    return ast.parse(Path(_spec(module).origin or "").read_text(encoding="utf-8"))


def _spec(module: str) -> ModuleSpec:
    found = importlib.util.find_spec(module)
    if found is None:
        raise ValueError(f"There is no module {module}")
    return found


def _home(module: str, name: str) -> tuple[str, str]:
    """The module that defines what `module` only hands on."""
    for node in _tree(module).body:
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            package = _spec(module).parent or ""
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            return _home(".".join(part for part in (base, node.module) if part), name)
    return module, name


def _definition(module: str, name: str) -> tuple[ast.stmt, str | None]:
    body = _tree(module).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name and not _is_overload(node):
            return node, ast.get_docstring(node)
        if isinstance(node, ast.Assign | ast.AnnAssign) and any(isinstance(t, ast.Name) and t.id == name for t in _targets(node)):
            return node, _docstring_below(after)
    raise ValueError(f"{module} does not define {name}")


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _docstring_below(node: ast.stmt | None) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return None


def _is_overload(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list)


def _members(node: ast.ClassDef) -> list[ast.FunctionDef]:
    """Public methods and properties, each once."""
    found = {member.name: member for member in node.body if isinstance(member, ast.FunctionDef) and not _is_overload(member)}
    return [member for name, member in found.items() if not name.startswith("_") and not _is_column_hook(member)]


def _is_column_hook(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).startswith(("declared_attr", "validates")) for decorator in node.decorator_list)


# Writing


def _entry(module: str, name: str) -> list[str]:
    node, doc = _definition(*_home(module, name))
    beside = [] if module == ROOT else [f"In `{module}`.", ""]
    text = [f"### {name}", "", *beside]
    if isinstance(node, ast.ClassDef):
        text += [*_stub(_class_line(node)), "", *_doc(doc)]
        if fields := list(_fields(node)):
            text += ["", "| attribute | type | |", "|---|---|---|", *fields]
        for member in _members(node):
            if not _is_property(member):
                text += ["", f"#### {name}.{member.name}", "", *_stub(_function_line(member)), "", *_doc(ast.get_docstring(member))]
    elif isinstance(node, ast.FunctionDef):
        text += [*_stub(_function_line(node)), "", *_doc(doc)]
    elif isinstance(node, ast.AnnAssign):
        text += [*_stub(f"{name}: {_unparse(node.annotation)}"), "", *_doc(doc)]
    elif isinstance(node, ast.Assign):
        text += [*_stub(f"{name} = {_unparse(node.value)}"), "", *_doc(doc)]
    return text


def _class_line(node: ast.ClassDef) -> str:
    bases = ", ".join(_unparse(base) for base in node.bases)
    line = f"class {node.name}({bases}):" if bases else f"class {node.name}:"
    start = [member for member in node.body if isinstance(member, ast.FunctionDef) and member.name == "__init__"]
    if not start:
        return f"{line} ..."
    return f"{line}\n{textwrap.indent(_function_line(start[0], drop_self=False), '    ')}"


def _function_line(node: ast.FunctionDef, *, drop_self: bool = True) -> str:
    marks = [_unparse(mark) for mark in node.decorator_list]
    above = "".join(f"@{mark}\n" for mark in marks if mark in ("classmethod", "staticmethod"))
    arguments = _arguments(node.args, drop_self=drop_self)
    returns = f" -> {_unparse(node.returns)}" if node.returns else ""
    line = f"def {node.name}({', '.join(arguments)}){returns}: ..."
    if len(line) > WIDTH:
        line = f"def {node.name}(\n    " + ",\n    ".join(arguments) + f",\n){returns}: ..."
    return above + line


def _arguments(given: ast.arguments, *, drop_self: bool) -> list[str]:
    def one(argument: ast.arg, default: ast.expr | None) -> str:
        annotation = f": {_unparse(argument.annotation)}" if argument.annotation else ""
        if default is None:
            return argument.arg + annotation
        return f"{argument.arg}{annotation}{' = ' if annotation else '='}{_unparse(default)}"

    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
    found = [one(argument, default) for argument, default in zip(plain, defaults, strict=True)]
    if drop_self and plain and plain[0].arg in ("self", "cls"):
        found = found[1:]
    if given.vararg:
        found.append("*" + one(given.vararg, None))
    elif given.kwonlyargs:
        found.append("*")
    found += [one(argument, default) for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg:
        found.append("**" + one(given.kwarg, None))
    return found


def _is_property(node: ast.FunctionDef) -> bool:
    return any(_unparse(mark).endswith("property") for mark in node.decorator_list)


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """Rows of the attributes: those of the class body, those that `__init__` explains, and the properties."""
    bodies = [
        node.body,
        *(member.body for member in node.body if isinstance(member, ast.FunctionDef) and member.name == "__init__"),
    ]
    for body in bodies:
        for found, after in zip(body, [*body[1:], None], strict=True):
            if not isinstance(found, ast.Assign | ast.AnnAssign):
                continue
            target, said = _targets(found)[0], _docstring_below(after)
            if body is node.body:
                name = target.id if isinstance(target, ast.Name) else ""
            else:
                name = target.attr if isinstance(target, ast.Attribute) and said else ""
            if not name or name.startswith("_") or name == "model_config":
                continue
            annotation = _unparse(found.annotation) if isinstance(found, ast.AnnAssign) else ""
            annotation = re.sub(r"^(?:ClassVar|Mapped)\[(.*)\]$", r"\1", annotation)
            yield _row(name, annotation, said)
    for member in _members(node):
        if _is_property(member):
            yield _row(member.name, _unparse(member.returns), ast.get_docstring(member))


def _row(name: str, annotation: str, said: str | None) -> str:
    return f"| `{name}` | {_cell(f'`{annotation}`' if annotation else '')} | {_cell(said)} |"


def _fixtures() -> list[str]:
    rows = ["| fixture | type | |", "|---|---|---|"]
    for node in _tree(PLUGIN).body:
        if isinstance(node, ast.FunctionDef):
            rows.append(_row(node.name, _unparse(node.returns), ast.get_docstring(node)))
    return rows


def _stub(text: str) -> list[str]:
    return ["```pyi", text, "```"]


def _doc(doc: str | None) -> list[str]:
    """A docstring as Markdown: it nearly is; lines that explain one argument each become a list."""
    lines = (doc or "").splitlines()
    out: list[str] = []
    for line in lines:
        if re.match(r"(?:`\w+`, )*`\w+`: ", line):
            if out and out[-1] and not out[-1].startswith(("- ", "  ")):
                out.append("")
            out.append(f"- {line}")
        elif out and out[-1].startswith(("- ", "  ")) and line and not line.startswith(" "):
            out.append(f"  {line}")
        else:
            out.append(line)
    return out


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _unparse(node: ast.expr | None) -> str:
    return ast.unparse(node).replace("'", '"') if node is not None else "None"


# Linking


def _anchors() -> dict[str, str]:
    """Where a name in a docstring leads."""
    names = {kind.__name__: f"errors.md#{kind.error_code.lower()}" for kind in error_types()}
    for section in SECTIONS:
        for listed in section.names.values():
            names |= {name: f"#{name.lower()}" for name in listed}
    return names


def _linked(text: str, names: dict[str, str]) -> str:
    """The text with the names that stand alone between backticks made links, outside of headings, stubs and their own entry."""
    out, inside, own = [], False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        if line.startswith("### "):
            own = line.removeprefix("### ")
        if not inside and not line.startswith(("#", "    ")):
            line = re.sub(r"(?<![\[`])`(\w+)`(?!`)", functools.partial(_link, own, names), line)
        out.append(line)
    return "\n".join(out)


def _link(own: str, names: dict[str, str], match: re.Match[str]) -> str:
    name = match[1]
    return f"[`{name}`]({names[name]})" if name in names and name != own else match[0]
