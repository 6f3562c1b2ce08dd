"""The options of ``gioconda serve``; nothing here loads a server."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from gioconda.report.options import Judges
from gioconda.report.wording import language
from gioconda_core import config
from gioconda_core.options import Option, size


def _clips() -> Path:
    return config.core().cache / "serve"


@dataclass(frozen=True)
class Page(Judges):
    """How the local page is served. folder : of clips that wait and their reports; cases : of case folders, beside the clips where none is named.
    limit : bytes of one file; keep : clips at once; seconds : that one clip may take.

    archive : whether programs of this computer may look up credentials in the user's archive (Soft Binding Resolution API).
    target, options : what works on the clips, ``module:name``, and what it is made with; reports, with these judges, by default.
    """

    port: Annotated[int, Option("Port on 127.0.0.1; 0 = any free one.", minimum=0, maximum=65535)] = 7503
    limit: Annotated[int, Option("Largest file taken, such as 500MB or 2GB.", parse=size, shown="1GB")] = 10**9
    hours: Annotated[
        float, Option("Hours after which a clip and its report are deleted.", flag="--keep", minimum=0.01)
    ] = 24.0
    lang: Annotated[str | None, Option("One of en, ja, es, fr, de; the browser's by default.", parse=language)] = None
    folder: Annotated[Path, Option("Where clips are kept; the user's cache by default.", unset=_clips)] = field(
        default_factory=_clips
    )
    cases: Annotated[
        Path | None,
        Option("Where cases are kept; the user's Gioconda folder by default.", unset=lambda: config.home() / "cases"),
    ] = None
    seconds: Annotated[float, Option("Seconds one clip may take.", flag="--timeout", minimum=0.1)] = 900.0
    archive: Annotated[
        bool, Option("Also answer C2PA's Soft Binding Resolution API (/v1) from your archive of credentials.")
    ] = False
    keep: int = 100
    target: str = "gioconda.serve.jobs:Examine"
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.options is None:
            judges = {"detectors": self.detectors and list(self.detectors), "trust": list(map(_absolute, self.trust))}
            object.__setattr__(self, "options", judges | {"development": self.trust_development})

    @property
    def hosts(self) -> frozenset[str]:
        """The names under which this computer may call us."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})


def _absolute(item: str) -> str:
    """``KIND=FILE`` or FILE, with the file's whole path: the worker stands in another folder."""
    from provenance.trust import lists

    kind, file = lists.kind_of(item)
    return f"{kind}={os.path.abspath(file)}" if kind else os.path.abspath(file)
