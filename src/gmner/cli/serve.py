"""`gmner serve`: a system over HTTP, with a web page."""

import os
import socket
from pathlib import Path
from typing import Annotated, Final

import typer

from gmner.config import read_values
from gmner.errors import ConfigError, MissingPackageError, reason

KEY: Final = "GMNER_API_KEY"
HERE: Final = "127.0.0.1"


def serve(
    system: Annotated[str, typer.Option(help="Which system; `gmner systems` lists them.")] = "lite",
    config: Annotated[Path | None, typer.Option(help="A TOML file with the system's settings.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for everybody.")] = HERE,
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    batch_size: Annotated[int, typer.Option(help="Posts that are predicted together.", min=1)] = 8,
    queue: Annotated[int, typer.Option(help="Posts that may wait; past it, requests get 429.", min=1)] = 64,
    timeout: Annotated[float, typer.Option(help="Seconds that a request may take; then it gets 503.", min=0.1)] = 60.0,
    urls: Annotated[bool, typer.Option("--urls", help="Fetch pictures by URL (public https only).")] = False,
) -> None:
    """Answer posts over HTTP, and show a web page to try it with.

    Example: gmner serve --port 8000, then open http://127.0.0.1:8000/

    A key in the environment variable GMNER_API_KEY guards every route. On SIGTERM nothing new is taken, and what is
    under way is finished.
    """
    try:
        from gmner.serve.server import run
        from gmner.serve.settings import ServiceSettings
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{error.name} is not installed", allowed="the service needs it", todo='pip install "gmner[serve]"'
        ) from None
    from gmner.systems import load_part

    key = os.environ.get(KEY) or None
    if key is not None and not key.isascii():
        raise ConfigError(f"{KEY} has letters outside ASCII", allowed="keys travel in headers", todo="choose another")
    settings = ServiceSettings(batch_size, queue, timeout, key, urls)
    with _listen(host, port) as listener:
        loaded = load_part(system, read_values(config) if config else {}, None, None, config)
        typer.echo(f"http://{host}:{listener.getsockname()[1]}/ (Ctrl+C ends)", err=True)
        run(loaded, settings, listener)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(
            f"no listening on {host} port {port} ({reason(error)})",
            allowed="the address is one of this machine's, and the port is free",
            todo="choose another --port or --host",
        ) from None
