"""What pipelines print lands in the logs of the attempt that printed it."""

from __future__ import annotations

from grange.core.tasks import OutcomeState
from tests.engines.rig import Rig
from tests.worker.conftest import Execute


def test_each_attempt_has_its_own_logs(rig: Rig, execute: Execute) -> None:
    """Stdout and stderr apart; whoever prints nothing has none."""
    loud = rig.task('import sys; print("to out"); print("to err", file=sys.stderr)')
    quiet = rig.task()
    other = rig.task('print("also to out")')

    for task in (loud, quiet, other):
        assert execute(task).state is OutcomeState.DONE

    assert rig.log(loud, "out") == "to out\n"
    assert rig.log(loud, "err") == "to err\n"
    assert rig.log(other, "out") == "also to out\n"
    assert 3 == len(list(rig.logs.iterdir()))


def test_what_programs_print_is_kept_too(rig: Rig, execute: Execute) -> None:
    """A program that a pipeline starts without redirecting it, and lines that are not ended."""
    task = rig.task(
        'import os, sys; sys.stdout.write("before "); sys.stdout.flush();'
        ' os.system("echo from afar; printf unended >&2")'
    )

    execute(task)

    assert rig.log(task, "out") == "before from afar\n"
    assert rig.log(task, "err") == "unended"


def test_ten_thousand_lines_are_kept_whole(rig: Rig, execute: Execute) -> None:
    """Of a failed attempt as well."""
    task = rig.task(
        """
        import sys
        for number in range(10_000):
            print("line", number, file=sys.stderr)
        raise ValueError
        """
    )

    outcome = execute(task)

    assert outcome.state is OutcomeState.FAILED
    assert rig.log(task, "err").splitlines() == [f"line {number}" for number in range(10_000)]


def test_a_flood_is_bounded(rig: Rig, execute: Execute) -> None:
    """Beginning and end are kept, and the next attempt's log is its own."""
    flood = rig.task('for _ in range(400): print("x" * 99_999)\nprint("the end")')
    after = rig.task('print("after it")')

    execute(flood)
    execute(after)

    assert (rig.logs / f"{flood.token}.out").stat().st_size < 17 << 20
    assert rig.log(flood, "out").endswith("the end\n")
    assert rig.log(after, "out") == "after it\n"


def test_what_load_prints_belongs_to_the_first_task(rig: Rig, execute: Execute) -> None:
    """A model's noise is not lost."""
    task = rig.task()

    execute(task, rig.job(run="noisy", params={"load": "print('loading')"}))

    assert rig.log(task, "out") == "loading\n"


def test_closed_and_replaced_streams_do_no_harm(rig: Rig, execute: Execute) -> None:
    """Whatever a pipeline does to its own streams, the worker goes on."""
    for script in (
        "import sys; sys.stdout = None",
        "import sys; sys.stdout = open('/dev/null', 'w'); sys.stdout.close()",
        "import sys; sys.stderr = object()",
    ):
        assert execute(rig.task(script)).state is OutcomeState.DONE
        restore = rig.task("import sys; sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__")
        assert execute(restore).state is OutcomeState.DONE


def test_logs_that_cannot_be_written_do_not_fail_the_task(rig: Rig, execute: Execute) -> None:
    """The result counts more than what was said on the way, which is no other attempt's either."""
    task, after = rig.task('print("unheard"); result = 1'), rig.task('print("heard"); result = 2')
    rig.logs.write_text("a file where the folder should be")
    outcome = execute(task)
    rig.logs.unlink()

    assert (OutcomeState.DONE, 1) == (outcome.state, outcome.result)
    assert execute(after).result == 2
    assert rig.log(after, "out") == "heard\n"
