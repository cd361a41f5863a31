"""One running site for all tests of a module: starting the real parts costs more than most tests."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import pytest

from domains.records.api.fhir_kit import FhirStack, running_stack

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def stack(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirStack]:
    """A site with everything of everybody in it; tests must not count what they did not write."""
    exits = AsyncExitStack()

    async def enter() -> FhirStack:
        return await exits.enter_async_context(running_stack(tmp_path_factory.mktemp("fhir")))

    yield runner.run(enter())
    runner.run(exits.aclose())
