"""Conformance runs against inputs that nobody here wrote; without them the tests are skipped."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir(request: pytest.FixtureRequest) -> Path:
    """Return the folder of real inputs, or skip the test when it is absent."""
    folder = (request.config.rootpath / str(request.config.getoption("--data"))).resolve()
    if not folder.is_dir():
        pytest.skip("no real inputs beside this checkout")
    return folder
