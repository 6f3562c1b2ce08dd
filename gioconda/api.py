"""Gioconda from Python: ``check`` gives a report on a clip, or on each of several.

>>> import gioconda
>>> report = gioconda.check("clip.mp4")                      # doctest: +SKIP
>>> print(gioconda.report.text(report))                      # doctest: +SKIP

In a notebook a report shows itself as its page. Threads, forked and spawned processes, and a running event loop may call it.
For folders there is :class:`gioconda.audit.Audit`.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, overload

from gioconda.report import html
from gioconda.report.options import names_of
from gioconda_core.errors import UsageError
from gioconda_core.files import spooled
from gioconda_core.types import Report
from gioconda_core.workers.pool import Progress

if TYPE_CHECKING:
    from gioconda.report.examine import Examiner
    from provenance.trust.lists import Trust

Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
Names: TypeAlias = str | Sequence[str] | None  # of detectors
Watcher: TypeAlias = Callable[[str, float], None] | None


@overload
def check(
    source: Source, detectors: Names = None, *, progress: Watcher = None, trust: "Trust | None" = None, **options: Any
) -> Report: ...


@overload
def check(
    source: Sequence[Source],
    detectors: Names = None,
    *,
    progress: Watcher = None,
    trust: "Trust | None" = None,
    **options: Any,
) -> list[Report]: ...


def check(
    source: Source | Sequence[Source],
    detectors: Names = None,
    *,
    progress: Watcher = None,
    trust: "Trust | None" = None,
    **options: Any,
) -> Report | list[Report]:
    """A Report on a clip or picture: what it is, where it says it comes from, what detectors saw, and what to do next.

    Parameters
    ----------
    source : a path, the file's bytes, or a binary file object, read from where it stands; a list of these gives a list of reports.
        Of bytes and file objects no file lies beside them: a credential kept in a sidecar is not found.
    detectors : one name, several with commas, or a list of names; None = those shipped; () or "none" = none (container and credentials only).
    progress : called with a stage's name (``open container provenance faces detectors evidence report``) and the share done, 0 to 1;
        of a list, the share of the whole list.
    trust : trust lists for credentials; None = the user's stored ones.
    options : further options of :class:`gioconda.report.examine.Examiner` (``sampling``, ``timeout``, ``sandbox``, ``cache``).

    Raises
    ------
    MediaError
        No such file, or it may not be read; of a list, before the first is examined. A file that is no media is a Report that says so.
    UsageError, WeightsError, PluginError
        A detector that was asked for cannot be loaded, or a source is none of the above.
    """
    from gioconda.report.examine import Examiner, readable

    several = isinstance(source, list | tuple)
    sources: Sequence[Any] = source if several else [source]  # type: ignore[assignment,list-item]
    for item in sources:
        if isinstance(item, str | os.PathLike):
            readable(item)
        elif isinstance(item, io.TextIOBase) or not (
            isinstance(item, bytes | bytearray | memoryview) or hasattr(item, "read")
        ):
            raise UsageError(
                f"cannot be checked: {type(item).__name__}",
                hint="a path, bytes, a file object opened with 'rb', or a list of these",
            )
    if isinstance(detectors, str):
        detectors = names_of(detectors)
    _show_in_notebooks()
    examiner = Examiner(detectors, trust=trust, **options)
    reports = []
    for i, item in enumerate(sources):

        def step(stage: str, share: float, *, done: int = 0, of: int = 0, i: int = i) -> None:
            if progress is not None:
                progress(stage, (i + share) / len(sources))

        reports.append(_examined(examiner, item, step))
    return reports if several else reports[0]


def _examined(examiner: "Examiner", source: Any, step: Progress) -> Report:
    if isinstance(source, str | os.PathLike):
        return examiner.examine(source, progress=step)
    raw = bytes(source) if isinstance(source, bytearray | memoryview) else source
    title = "bytes" if isinstance(raw, bytes) else os.path.basename(str(getattr(raw, "name", "") or "stream"))
    with spooled(raw) as path:
        return examiner.examine(path, title=title, progress=step)


def _show_in_notebooks() -> None:
    """A report that is a cell's value shows as its page, where IPython runs."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type(Report, _cell)


def _cell(report: Report) -> str:
    """A report's page in a frame of its own, so that its styles and the notebook's do not meet."""
    return f'<iframe srcdoc="{escape(html(report))}" sandbox style="width:100%;height:44em;border:0"></iframe>'
