"""Asking a server outside, within a time for the whole and with an answer of bounded length. How it is asked is its feature's business."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

CHUNK = 16 * 1024
LATE = "no answer in time"

T = TypeVar("T")


class NoAnswer(Exception):
    """There was no good answer. The message holds nothing that was sent, so that it may be logged."""


def ask_within(timeout: float, work: Callable[[float], T], *, thread: str) -> T:
    """What `work` returns within `timeout` seconds; it gets the deadline, by the monotonic clock. `NoAnswer`.

    A socket's time-out bounds each read and not the whole, and nothing bounds the look-up of a name: so the work is done in a daemon
    thread called `thread`, and after `timeout` nobody waits for it any more.
    """
    done: queue.SimpleQueue[T | NoAnswer] = queue.SimpleQueue()
    deadline = time.monotonic() + timeout
    threading.Thread(target=_work, args=(work, deadline, done), name=thread, daemon=True).start()
    try:
        outcome = done.get(timeout=timeout)
    except queue.Empty:
        raise NoAnswer(LATE) from None
    if isinstance(outcome, NoAnswer):
        raise outcome
    return outcome


def _work(work: Callable[[float], T], deadline: float, done: queue.SimpleQueue[T | NoAnswer]) -> None:
    try:
        done.put(work(deadline))
    except NoAnswer as error:
        done.put(error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # urllib wraps what happened to the socket.
        reason = getattr(error, "reason", None)
        cause = reason if isinstance(reason, Exception) else error
        done.put(NoAnswer(LATE if isinstance(cause, TimeoutError) else type(cause).__name__))


def read_bounded(response: http.client.HTTPResponse, most: int, deadline: float) -> bytes:
    """The body of an answer: of `most` bytes at most, before `deadline`, and as long as was announced; `NoAnswer`."""
    body = bytearray()
    while chunk := response.read1(CHUNK):
        body += chunk
        if len(body) > most:
            raise NoAnswer("the answer is too long")
        if time.monotonic() > deadline:
            raise NoAnswer(LATE)
    if response.length:  # what was announced and did not come
        raise NoAnswer("the answer is cut off")
    return bytes(body)
