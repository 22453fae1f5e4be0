"""What plugins import: short names for the contract, and a floor below every hook.

The floor: what a hook raises is written to the host's log before the instance ends;
`logging`, `print` and `warnings` write log lines too; time and chance are the host's.
Import this before anything that binds `time` or `os.urandom` by name.
"""

import functools
import io
import json
import logging
import os
import sys
import time
import traceback
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import response_body
from wit_world.exports.lifecycle import Registration
from wit_world.imports import clock, config, kv, log, random
from wit_world.imports.types import (
    BodyInterest_Observe as Observe,
    BodyInterest_Stream as Stream,
    ChunkVerdict_Done as Done,
    ChunkVerdict_Pass as PassChunk,
    ChunkVerdict_Replace as Replace,
    Edit,
    Edit_Append,
    Edit_Remove,
    Edit_Set,
    Edit_SetSlot,
    EndVerdict_Finish as Finish,
    EndVerdict_Pass as PassEnd,
    Header,
    Response,
    Selector_Header,
    Selector_Method,
    Selector_Path,
    Selector_Query,
    Selector_ResponseHeader,
    Selector_Status,
    Verdict,
    Verdict_Edited,
    Verdict_Inspect,
    Verdict_Pass as Pass,
    Verdict_Respond as Respond,
)

__all__ = [
    "Done", "Finish", "Inspector", "Lifecycle", "Observe", "Pass", "PassChunk", "PassEnd", "Registration", "Replace",
    "RequestHead", "ResponseBody", "ResponseHead", "Stream", "Verdict", "answer", "append", "edited", "header", "kv",
    "method", "path", "query", "refuse", "registration", "remove", "response_header", "set_header", "set_slot",
    "settings", "status",
]

# What hooks may ask to see.
method, path, query, status = Selector_Method(), Selector_Path(), Selector_Query(), Selector_Status()


def header(name: str) -> Selector_Header:
    """A field of the request; several lines arrive joined by ", "."""
    return Selector_Header(name)


def response_header(name: str) -> Selector_ResponseHeader:
    """A field of the response."""
    return Selector_ResponseHeader(name)


def settings() -> dict[str, Any]:
    """What the operator wrote below [plugin.config]."""
    return json.loads(config.json())


def refuse(why: str) -> Exception:
    """To be raised in `configure`: the plugin can't run with these settings."""
    return Err(why)


def registration(*, request=(), response=(), completion=(), outputs=(), attributes=()) -> Registration:
    """What the hooks see, in this order, and which headers they set by slot."""
    return Registration(
        request_view=list(request), response_view=list(response), completion_view=list(completion),
        outputs=list(outputs), attributes=list(attributes), tick_ms=0, options=[],
    )


def set_slot(slot: int, value: str | bytes) -> Edit:
    """Sets the header that the registration has at this place of its outputs."""
    return Edit_SetSlot((slot, _bytes(value)))


def set_header(name: str, value: str | bytes) -> Edit:
    """Sets a header, in place of all lines of its name."""
    return Edit_Set(Header(name, _bytes(value)))


def append(name: str, value: str | bytes) -> Edit:
    """Adds a line."""
    return Edit_Append(Header(name, _bytes(value)))


def remove(name: str) -> Edit:
    """Takes all lines of a name away."""
    return Edit_Remove(name)


def edited(*edits: Edit, body=None) -> Verdict:
    """Goes on with changes; `body=Observe()` or `body=Stream()` looks at the body too."""
    return Verdict_Edited(list(edits)) if body is None else Verdict_Inspect((list(edits), body))


def answer(code: int, body: str | bytes = b"", headers: dict[str, str] | None = None, reason=None) -> Verdict:
    """Stops here. `reason` is for the operator's log."""
    lines = [Header(name, _bytes(value)) for name, value in (headers or {}).items()]
    return Respond(Response(code, lines, _bytes(body), reason))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class _Told:
    """Wraps each hook of a class, so that its exceptions are told before they end the instance."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name in ("configure", "handle", "open", "chunk", "end"):
            if name in vars(cls):
                setattr(cls, name, _told(vars(cls)[name]))


def _told(hook):
    @functools.wraps(hook)
    def told(*args):
        if sys.stderr is not _err:
            _listen()
        try:
            return hook(*args)
        except Err:
            raise
        except BaseException as error:
            log.write(log.Level.ERROR, _words(error))
            raise

    return told


def _words(error: BaseException) -> str:
    """A traceback, without the source: `traceback` would open files, and there are none."""
    calls = (
        f"  {frame.f_code.co_filename}, line {line}, in {frame.f_code.co_qualname}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    )
    return "\n".join(["Traceback (most recent call last):", *calls, f"{type(error).__name__}: {error}"])


class Lifecycle(_Told, exports.Lifecycle):
    """`configure`: once per instance, before any hook."""


class RequestHead(_Told, exports.RequestHead):
    """`handle(view)`: `view` has what the registration asked for, as bytes or None."""


class ResponseHead(_Told, exports.ResponseHead):
    """`handle(view)`."""


class ResponseBody(_Told, exports.ResponseBody):
    """`open()` gives the `Inspector` of one body."""


class Inspector(_Told, response_body.Inspector):
    """`chunk(data)` and `end(trailers)` of one body."""

    def end(self, trailers):
        return PassEnd()


class _Lines(io.TextIOBase):
    """A stream whose lines are lines of the host's log."""

    def __init__(self, level: log.Level):
        self.level, self.rest = level, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            log.write(self.level, line)
        return len(text)


class _Formatter(logging.Formatter):
    """Messages as they are: the host knows time and level."""

    def formatException(self, info) -> str:
        return _words(info[1])


class _Handler(logging.Handler):
    """Hands records of `logging` to the host."""

    def __init__(self):
        super().__init__()
        self.setFormatter(_Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        steps = ((logging.ERROR, log.Level.ERROR), (logging.WARNING, log.Level.WARN), (logging.INFO, log.Level.INFO))
        level = next((level for least, level in steps if record.levelno >= least), log.Level.DEBUG)
        log.write(level, self.format(record))


_out, _err = _Lines(log.Level.INFO), _Lines(log.Level.WARN)

# There is no system below this interpreter: without these each would end the instance.
time.time_ns = lambda: clock.unix_ms() * 1_000_000
time.time = lambda: clock.unix_ms() / 1_000
time.monotonic_ns = time.perf_counter_ns = clock.monotonic_ns
time.monotonic = time.perf_counter = lambda: clock.monotonic_ns() / 1_000_000_000
os.urandom = random.bytes


def _listen() -> None:
    """Not at import: that happens when the plugin is built, and there is no host then."""
    sys.stdout, sys.stderr = _out, _err
    logging.basicConfig(handlers=[_Handler()], level=logging.INFO)
    if "random" in sys.modules:
        # Its state was made when the plugin was built: all instances would draw the same.
        sys.modules["random"].seed(random.bytes(32))
