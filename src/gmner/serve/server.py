"""The server process, and how it ends."""

import logging
import socket
from types import FrameType

import uvicorn

from gmner.serve.app import create_app
from gmner.serve.guard import Drain, JSONLines
from gmner.serve.settings import CONNECTIONS, ServiceSettings
from gmner.systems.system import System


class Server(uvicorn.Server):
    """uvicorn's server, which at the first signal goes on listening until what is under way is answered.

    Meanwhile `/readyz` says no and everything new gets 503, so that whoever deals out requests learns of it. A second
    signal ends it as uvicorn does.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain, self._signal = drain, 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._drain.begun:
            super().handle_exit(sig, frame)
        else:
            self._drain.begun, self._signal = True, sig

    async def on_tick(self, counter: int) -> bool:
        if self._drain.over and not self.should_exit:
            super().handle_exit(self._signal, None)
        return await super().on_tick(counter)


def run(system: System, settings: ServiceSettings, listener: socket.socket) -> None:
    """Serve on `listener` until a signal ends it, with the log as lines of JSON on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines())
    for name in ("gmner.serve", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.handlers, logger.propagate = [handler], False
    drain = Drain()
    config = uvicorn.Config(
        create_app(system, settings, drain),
        log_config=None,
        access_log=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=int(settings.timeout) + 1,
    )
    Server(config, drain).run([listener])
