"""A site of its own for each test, on one broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grange.core.ids import new_id
from tests.brokers import Broker
from tests.engines.rabbit.stand import Scene


@pytest.fixture
def scene(rabbitmq_server: Broker) -> Iterator[Scene]:
    """Lend a site; nothing of it is left running."""
    scene = Scene(rabbitmq_server.url, new_id())
    yield scene
    scene.close()
