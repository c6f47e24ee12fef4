"""A broker that speaks encrypted alone: whoever knows its certificate works as over any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grange.engines.rabbit.management import WorkerUsers
from grange.engines.rabbit.trial import try_broker
from grange.errors import BrokerUnreachable
from tests import aside, brokers
from tests.brokers import Broker
from tests.worker.station.stage import staged


@pytest.fixture(scope="module")
def encrypted_broker() -> Iterator[Broker]:
    """Lend a broker with a certificate that nobody has signed."""
    with brokers.rabbitmq(encrypted=True) as broker:
        yield broker


def test_a_run_goes_over_an_encrypted_broker(
    encrypted_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Server and workers are told of its certificate as programs are; no setting is needed."""
    trusted = {"SSL_CERT_FILE": str(encrypted_broker.certificate)}
    with staged(tmp_path_factory.mktemp("stage"), encrypted_broker, **trusted) as stage:
        stage.worker("one", environment=trusted).wait_for("joined")
        folder = stage.fill("in", {"a": "here"})

        run = stage.submit(folder, "cp {input} {output}/copy")

        assert "done" == stage.finish(run)["state"]
        assert "here" == (stage.outputs(run) / "a" / "copy").read_text()


def test_a_broker_with_an_unknown_certificate_gets_no_password(encrypted_broker: Broker) -> None:
    """It may be anybody: that is said, and what to do about it."""
    with pytest.raises(BrokerUnreachable, match="certificate") as refused:
        aside.call(lambda: try_broker(encrypted_broker.url))

    assert "SSL_CERT_FILE" in (refused.value.hint or "")
    users = WorkerUsers(encrypted_broker.url, site="s", management=encrypted_broker.management)
    with pytest.raises(BrokerUnreachable, match="certificate") as refused:
        users.examine()
    assert "SSL_CERT_FILE" in (refused.value.hint or "")


def test_a_port_that_speaks_plainly_is_told_from_one_that_is_away(
    rabbitmq_server: Broker,
) -> None:
    """Whoever writes amqps:// and the usual port learns which one it is."""
    with pytest.raises(BrokerUnreachable, match="amqps") as refused:
        aside.call(lambda: try_broker(rabbitmq_server.url.replace("amqp:", "amqps:")))

    assert "5671" in (refused.value.hint or "")
