"""A start that cannot reach its database says why, in one line without the password."""

import os
import sys

import pytest

from support.forked import run


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("127.0.0.1:1/shop", "refused"),
        ("127.0.0.1:1/shop?sslmodus=require", "sslmodus"),
        ("127.0.0.1:1,127.0.0.1:2/shop", "127.0.0.1"),
    ],
)
def test_a_start_says_why_it_cannot_reach_its_database(tmp_path, driver, place, says):
    settings = {
        "DEPOT_DATA_DIR": str(tmp_path),
        "DEPOT_DATABASE__URL": f"{driver}://ann:geheim@{place}",
    }
    done = run(
        [sys.executable, "-m", "depot", "migrate"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("DEPOT_DATABASE__URL: the database cannot be used:")
    assert says in last
    assert "geheim" not in done.stderr + done.stdout
