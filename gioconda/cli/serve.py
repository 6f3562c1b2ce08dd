"""``gioconda serve``: a page on this computer to drop clips on and read their reports."""

import contextlib
from dataclasses import replace
from typing import Annotated, Any

from gioconda.cli.build import built
from gioconda.cli.common import emit, notice
from gioconda.serve.options import Page
from gioconda_core.errors import UsageError
from gioconda_core.options import Option


@built("serve", "--open")
def serve(job: Page, open: Annotated[bool, Option("Open the page in the browser.")] = False) -> None:
    """Show a page on this computer: drop a clip, read its report. Listens on 127.0.0.1 only; nothing is uploaded anywhere."""
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
    page = replace(job, port=here.getsockname()[1])
    emit(f"http://127.0.0.1:{page.port}/")
    notice(
        f"clips are kept in {page.folder} for {job.hours:g} h; Ctrl-C ends the page, and what was waiting goes on next time"
    )
    if open:
        import webbrowser

        # the socket listens already: the browser waits its turn
        if not webbrowser.open(f"http://127.0.0.1:{page.port}/"):
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
