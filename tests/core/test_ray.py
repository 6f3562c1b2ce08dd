"""Without Ray, a person is told how to get it; what is done on it is in ``tests/e2e/test_on_ray.py``."""

import sys

import pytest

from gioconda_core.errors import UsageError
from gioconda_core.workers.pool import workers


def test_a_machine_without_ray_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="not installed"):
        workers("ray", "hostile_work:Work", {}, 2, dict)
