"""Spans for OpenTelemetry, where the host uses it; nothing at all where it does not.

`opentelemetry-api` is optional (`pip install flask-accounts-api[otel]`) and looked for once the host has imported
it. Without it, or while no tracer provider is set, a span costs a function call.

Spans carry no personal data: no address, login, token, password or user key, and of an error its stable
code, never its message. Their names and attributes are stated in `docs/how-to/tracing.md` and stable.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .errors import AccountsError, ChallengeRequired

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer, TracerProvider

P = ParamSpec("P")
R = TypeVar("R")
Carried = Any
"""OpenTelemetry's `Context`, opaque here."""
Value = str | int | bool | Sequence[str]
Attributes = Mapping[str, Value]

SCOPE = "flask_accounts"


class Span:
    """What `span` gives: takes attributes while the work goes on. This one goes nowhere."""

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        return None

    def set(self, **attributes: Value) -> None:
        """Add attributes, as `accounts.<name>`."""

    def fail(self, code: str) -> None:
        """Say that the work has failed, with a stable code."""


NOWHERE = Span()


class RecordedSpan(Span):
    """A span of the host's tracer."""

    def __init__(self, tracer: Tracer, name: str, attributes: Attributes, within: Carried | None) -> None:
        named: dict[str, Any] = _named(attributes)  # what OpenTelemetry takes for a value
        self._manager = tracer.start_as_current_span(
            name, context=within, attributes=named, record_exception=False, set_status_on_exception=False
        )

    def __enter__(self) -> Span:
        self._span: OtelSpan = self._manager.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, ChallengeRequired):
            self.set(outcome="challenged")  # no failure: the sign-in goes on
        elif isinstance(error, AccountsError):
            self.fail(error.error_code)
        elif error is not None:
            self.fail(type(error).__qualname__)
        self._manager.__exit__(kind, error, traceback)

    def set(self, **attributes: Value) -> None:
        """Add attributes, as `accounts.<name>`."""
        named: dict[str, Any] = _named(attributes)
        self._span.set_attributes(named)

    def fail(self, code: str) -> None:
        """Set the status, and `error.type`, to a stable code. An error's message may quote what somebody typed."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR, code))


def span(name: str, *, within: Carried | None = None, **attributes: Value) -> Span:
    """A span around a `with` block; `within` is what `carried()` gave in another thread. Attributes are named `accounts.<name>`."""
    tracer = _tracer()
    return NOWHERE if tracer is None else RecordedSpan(tracer, name, attributes, within)


def traced(
    name: str, *, of: Callable[..., Attributes] | None = None, to: Callable[[Any], Attributes] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A span around every call of a function: with attributes `of` its arguments, and `to` what it returned."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            tracer = _tracer()
            if tracer is None:
                return function(*args, **kwargs)
            with RecordedSpan(tracer, name, of(*args, **kwargs) if of else {}, None) as current:
                result = function(*args, **kwargs)
                if to:
                    current.set(**to(result))
                return result

        return wrapped

    return decorate


def carried() -> Carried | None:
    """The present place in the trace, for work that another thread does later; None where nothing is traced."""
    if _tracer() is None:
        return None
    from opentelemetry.context import get_current

    return get_current()


def _named(attributes: Attributes) -> dict[str, Value]:
    return {f"accounts.{name}": value for name, value in attributes.items()}


@functools.cache
def _api() -> ModuleType:
    from opentelemetry import trace

    return trace


def _tracer() -> Tracer | None:
    """The host's tracer; None without OpenTelemetry, and while no provider is set: its own stand-ins cost more than nothing."""
    if "opentelemetry.trace" not in sys.modules:
        return None  # whoever has set a provider has imported it
    api = _api()
    provider = api.get_tracer_provider()
    return None if isinstance(provider, api.ProxyTracerProvider) else _tracer_of(provider)


@functools.lru_cache(maxsize=4)
def _tracer_of(provider: TracerProvider) -> Tracer:
    return provider.get_tracer(SCOPE)
