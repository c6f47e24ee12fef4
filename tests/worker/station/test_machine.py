"""What a machine gives to work: found, or said by whoever starts the worker."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grange.core.resources import Gpu
from grange.errors import UsageError
from grange.worker.station import machine

GIB = 1 << 30
# What prctl calls the question whether others may look into a process.
DUMPABLE = 3


def test_a_machine_gives_all_its_cores_and_most_of_its_memory() -> None:
    """One task for each core, unless it is said otherwise."""
    found = machine.find_capacity(gpus="none")

    assert int(machine.available_cores()) == found.slots
    assert 0 < found.memory_bytes < machine.look().memory_bytes
    assert () == found.gpus


def test_what_is_said_goes_before_what_is_found() -> None:
    """Slots, memory, GPUs and labels, each label once."""
    found = machine.find_capacity(
        slots=3, memory_bytes=5 * GIB, gpus="0, 2:24GiB", labels=("b", "a", "b")
    )

    assert (3, 5 * GIB, ("a", "b")) == (found.slots, found.memory_bytes, found.labels)
    assert [0, 2] == [gpu.index for gpu in found.gpus]
    assert Gpu(2, 24 * GIB, found.gpus[1].name) == found.gpus[1]


@pytest.mark.parametrize("text", ["", "one", "0,", "0:big", "-1"])
def test_what_names_no_gpu_is_refused(text: str) -> None:
    """A mistake must not leave a machine without its GPUs."""
    with pytest.raises(UsageError):
        machine.find_capacity(gpus=text)


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no error: most have none."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert () == machine.find_capacity(gpus="auto").gpus


def test_others_can_t_look_into_a_hidden_process() -> None:
    """What runs commands is of the same user; the system keeps it from the worker's memory."""
    program = (
        "import ctypes; from grange.worker.station.machine import hide; hide();"
        f"print(ctypes.CDLL(None).prctl({DUMPABLE}, 0, 0, 0, 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert "0" == done.stdout.strip()


def test_the_way_to_the_server_says_which_address_is_meant() -> None:
    """By it the server's Prometheus will find the machine."""
    assert "127.0.0.1" == machine.address_towards("http://127.0.0.1:4050")
