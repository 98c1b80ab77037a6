"""Recipes and records are read without torch, which takes a second to import."""

from __future__ import annotations

import subprocess
import sys

import pytest


def test_recipes_need_no_torch():
    code = "import sys, mathdnn.training as t; t.step_size(t.Recipe.best(), 0, 1); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_every_public_name_is_there():
    import mathdnn.training

    for name in mathdnn.training.__all__:
        assert getattr(mathdnn.training, name).__name__ == name
    with pytest.raises(AttributeError, match=r"^module 'mathdnn.training' has no attribute 'fit'$"):
        mathdnn.training.fit  # noqa: B018
