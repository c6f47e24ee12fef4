"""A process that owns an engine: `owner.py END FOLDER` runs its task, then ends as it is told."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from grange.core.tasks import Batch
from tests.engines.rig import Rig


def main(end: str, folder: str) -> None:
    """Own an engine until the end."""
    rig = Rig(Path(folder))
    engine = rig.engine(workers=2)
    rig.warm_up(engine)
    script = f"""
    import subprocess, time
    far = "sleep 300 & echo $! > {folder}/far.tmp; mv {folder}/far.tmp {folder}/far; wait"
    subprocess.Popen(["sh", "-c", f"setsid sh -c '{{far}}' & wait"])
    child = subprocess.Popen(["sleep", "300"])
    open("{folder}/near", "w").write(str(child.pid))
    time.sleep(300)
    """
    engine.publish(Batch(rig.job(), (rig.task(script),)))
    begun = [rig.folder / name for name in ("near", "far")]
    rig.turn_until(engine, lambda: all(file.exists() for file in begun))
    time.sleep(0.1)
    workers = [str(worker.process.pid) for worker in engine._fleet]
    (rig.folder / "workers").write_text(" ".join(workers))
    if end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif end == "closed":
        engine.close()
        engine.close()
    elif end == "dropped":
        rig.engines.clear()
        del engine
        time.sleep(5)


if __name__ == "__main__":
    main(*sys.argv[1:])
