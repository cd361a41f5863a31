"""What every test may use: the place of real inputs, for the tests that need them."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--data`, the folder of inputs that are not part of the project."""
    parser.addoption(
        "--data",
        default="../shared/data",
        help="folder of real inputs for tests/conformance, relative to the project; absent: those tests are skipped",
    )
