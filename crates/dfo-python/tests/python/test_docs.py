"""What the page for authors of scripts shows, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[4] / "docs" / "python.md"


@pytest.mark.slow
def test_the_scripts_of_the_page_run_one_after_the_other() -> None:
    pytest.importorskip("torch", exc_type=ImportError)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    # What it starts is not there: it runs all the same.
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
