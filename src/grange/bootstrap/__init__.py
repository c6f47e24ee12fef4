"""The composition root: settings in, wired programs out.

A `Site` is what the commands and the Python API talk to; `open_server` is what
`grange serve` runs.
"""

from grange.bootstrap.embedded import Site, open_site, worker_command

__all__ = ["Site", "open_site", "worker_command"]
