"""A plugin that shows one thing per path."""

import logging

import gatelodge
from gatelodge import Pass, Replace, Stream, answer, edited, kv, set_header, set_slot

log = logging.getLogger(__name__)

GREETING, HITS = range(2)  # places in the outputs

greeting = ""


class Lifecycle(gatelodge.Lifecycle):
    def configure(self):
        global greeting
        match gatelodge.settings():
            case {"greeting": str(text)}:
                greeting = text
            case _:
                raise gatelodge.refuse('set greeting = "..." for this plugin')
        log.info("python is ready")
        return gatelodge.registration(
            request=[gatelodge.path], response=[gatelodge.path], outputs=["x-greeting", "x-hits"]
        )


class RequestHead(gatelodge.RequestHead):
    def handle(self, view):
        match view[0].decode():
            case path if path.startswith("/edit"):
                return edited(set_slot(GREETING, greeting))
            case "/answer":
                return answer(418, "hello from python", {"x-language": "python"})
            case "/log" as path:
                log.info("seen %s", path)
            case "/kv":
                hits = kv.increment("battery", "hits", 1, None)
                return edited(set_slot(HITS, str(hits)))
            case "/trap":
                raise RuntimeError("asked to trap")
            case "/loop":
                while True:
                    pass
        return Pass()


class ResponseHead(gatelodge.ResponseHead):
    def handle(self, view):
        path = view[0].decode()
        if path.startswith("/edit"):
            return edited(set_header("x-language", "python"))
        if path == "/body":
            return edited(body=Stream())
        return Pass()


class ResponseBody(gatelodge.ResponseBody):
    def open(self):
        return Shouting()


class Shouting(gatelodge.Inspector):
    """A body whose letters become capitals."""

    def chunk(self, data):
        return Replace(data.upper())
