"""One server on one broker for the tests of a module, and workers as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers import Broker
from tests.worker.station.stage import Stage, staged


@pytest.fixture(scope="module")
def _stage(tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker) -> Iterator[Stage]:
    # Short, since sockets and outputs lie below it.
    with staged(tmp_path_factory.mktemp("stage"), rabbitmq_server) as stage:
        yield stage


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """Lend the module's server; the workers that a test starts go with it."""
    try:
        yield _stage
    finally:
        _stage.close()
