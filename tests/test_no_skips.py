"""In CI a skipped test is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = {
    "test_mark.py": "import pytest\n@pytest.mark.skip(reason='by mark')\ndef test_it(): pass\n",
    "test_call.py": "import pytest\ndef test_it(): pytest.skip('by call')\n",
    "test_empty.py": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x): pass\n",
    "test_module.py": "import pytest\npytest.importorskip('no_such_module')\n",
    "test_xfail.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    "test_pass.py": "def test_it(): pass\n",
}


@pytest.mark.parametrize(
    ("no_skips", "closing"),
    [("", "1 passed, 4 skipped, 1 xfailed in"), ("1", "1 failed, 1 passed, 1 xfailed, 3 errors in")],
)
def test_skips_fail_where_they_are_forbidden(no_skips: str, closing: str, tmp_path: Path) -> None:
    for name, text in TESTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider", "-rs"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DOLLY_NO_SKIPS": no_skips}
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert closing in done.stdout.splitlines()[-1], done.stdout
    assert done.returncode == (1 if no_skips else 0)
    for reason in ("by mark", "by call", "could not import 'no_such_module'", "empty parameter set"):
        assert reason in done.stdout
