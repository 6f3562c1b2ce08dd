"""Every sentence anybody could read, exchanged for random letters; and documents compared without their sentences."""

import difflib
import pprint
import random
import re
import string
from dataclasses import replace

from gioconda.audit import archives
from gioconda.report import rows, wording
from gioconda_core import errors, reasons
from gioconda_core.workers import pool
from provenance import codes
from provenance.reading import describe


def scramble(monkeypatch, seed):
    """Exchange them: reasons, templates, status codes, errors, what became of a task, what is wrong inside an archive."""
    letters = random.Random(seed)

    def word(*_):
        said = letters.choices(string.ascii_lowercase + " :()", k=letters.randint(1, 40))
        return "".join(said) + " ."  # with a space, by which ``without_sentences`` knows it

    tables = [
        table(lang) for table in (reasons.sentences, codes.sentences, describe.sentences) for lang in wording.LANGUAGES
    ]
    for table in tables:
        for key in list(table):
            monkeypatch.setitem(table, key, word())
    spoken = {key: replace(t, texts={lang: word() for lang in t.texts}) for key, t in wording.templates().items()}
    monkeypatch.setattr(wording, "templates", lambda: spoken)
    monkeypatch.setattr(wording, "_phrases", lambda lang: [])
    plain = errors.GiocondaError.__init__

    def init(self, what, where="", hint=""):
        plain(self, word(), where, word() if hint else "")

    monkeypatch.setattr(errors.GiocondaError, "__init__", init)
    monkeypatch.setattr(pool, "describe", word)
    error_row = rows.error_row
    monkeypatch.setattr(rows, "error_row", lambda path, error, **more: error_row(path, error and word(), **more))
    member = archives.Member
    monkeypatch.setattr(
        archives, "Member", lambda **said: member(**said | ({"error": word()} if said.get("error") else {}))
    )


def in_this_process(monkeypatch):
    """Let the tasks of a pool be done here, where the sentences are the exchanged ones."""
    monkeypatch.setattr(pool, "Pool", lambda target, options, *_: pool.Here(target, options))


def without_sentences(value, *times):
    """A document of which every text with a space in it, and every duration, is left out: what is left is codes and numbers.

    times : further keys whose values are another in each run.
    """
    if isinstance(value, dict):
        return {
            key: value[key] is not None
            if key in ("seconds", "error", "abstained", "what", "hint", *times)
            else without_sentences(value[key], *times)
            for key in value
            if key not in ("text", "sentence", "sentences", "credentials", "tripped_first", "policy", "justification")
        }
    if isinstance(value, list | tuple):
        return [without_sentences(item, *times) for item in value]
    return "…" if isinstance(value, str) and re.search(r"\s", value) else value


def differences(old, new):
    """The lines in which two documents differ."""
    both = difflib.ndiff(pprint.pformat(old).splitlines(), pprint.pformat(new).splitlines())
    return "\n".join(line for line in both if line[0] in "+-")
