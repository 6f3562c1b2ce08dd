"""``gioconda serve``: the local page."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gioconda.cli.build import built
from gioconda.cli.common import emit, notice
from gioconda.report.options import Judges, language
from gioconda_core.errors import UsageError
from gioconda_core.options import Option, size
from provenance.trust import lists

if TYPE_CHECKING:
    from gioconda.serve.app import Page


@dataclass(frozen=True)
class Serve(Judges):
    """How the page is served."""

    port: Annotated[int, Option("Port on 127.0.0.1; 0 = any free one.", minimum=0, maximum=65535)] = 7503
    limit: Annotated[int, Option("Largest file taken, such as 500MB or 2GB.", parse=size, shown="1GB")] = 10**9
    keep: Annotated[float, Option("Hours after which a clip and its report are deleted.", minimum=0.01)] = 24.0
    lang: Annotated[str | None, Option("One of en, ja, es, fr, de; the browser's by default.", parse=language)] = None
    folder: Annotated[str | None, Option("Where clips are kept; the user's cache by default.")] = None
    cases: Annotated[str | None, Option("Where cases are kept; the user's Gioconda folder by default.")] = None
    timeout: Annotated[float, Option("Seconds one clip may take.", minimum=0.1)] = 900.0
    open: Annotated[bool, Option("Open the page in the browser.")] = False
    archive: Annotated[
        bool, Option("Also answer C2PA's Soft Binding Resolution API (/v1) from your archive of credentials.")
    ] = False

    def page(self, port: int) -> Page:
        """The page, on the port that was found."""
        from gioconda.serve.app import Page
        from gioconda_core import config
        from gioconda_core.faces import track_cache

        return Page(
            folder=Path(self.folder) if self.folder else track_cache.folder() / "serve",
            cases=Path(self.cases) if self.cases else config.home() / "cases",
            port=port,
            limit=self.limit,
            hours=self.keep,
            seconds=self.timeout,
            lang=self.lang,
            archive=self.archive,
            options={
                "detectors": None if self.detectors is None else list(self.detectors),
                "trust": [_absolute(item) for item in self.trust],
                "development": self.trust_development,
            },
        )


@built
def serve(job: Serve) -> None:
    """One page on this computer: drop a clip, read its report. Listens on 127.0.0.1 only; nothing is uploaded anywhere.

    Example: gioconda serve --open
    """
    import socket

    import uvicorn

    from gioconda.serve.app import application
    from gioconda.serve.connections import Prompt

    here = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here.bind(("127.0.0.1", job.port))
        here.listen()
    except OSError as error:
        raise UsageError(
            f"port {job.port} is taken", where="--port", hint="give another, or 0 for any free one"
        ) from error
    page = job.page(here.getsockname()[1])
    emit(f"http://127.0.0.1:{page.port}/")
    notice(
        f"clips are kept in {page.folder} for {job.keep:g} hours; Ctrl-C ends the page, and what was waiting goes on next time"
    )
    if job.open:
        import webbrowser

        if not webbrowser.open(
            f"http://127.0.0.1:{page.port}/"
        ):  # the socket listens already: the browser waits its turn
            notice("no browser could be opened; open the address above yourself")
    config = uvicorn.Config(
        application(page),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        http=Prompt,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            self.should_exit = True  # within seconds; a second Ctrl-C could only break the ending off halfway

    with contextlib.suppress(KeyboardInterrupt):  # how one ends a page: nothing was cut short
        Server(config).run(sockets=[here])
    notice("the page has ended")


def _absolute(item: str) -> str:
    """``KIND=FILE`` or FILE, with the file's whole path."""
    kind, file = lists.kind_of(item)
    return f"{kind}={os.path.abspath(file)}" if kind else os.path.abspath(file)
