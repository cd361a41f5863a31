"""What every test may use: the place of real inputs, and how property tests run."""

import pytest
from hypothesis import settings

# A shared machine is slow at times; that is no finding. Each test bounds its examples instead.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--data`, the folder of inputs that are not part of the project."""
    parser.addoption(
        "--data",
        default="../shared/data",
        help="folder of real inputs for tests/conformance, relative to the project; absent: those tests are skipped",
    )
