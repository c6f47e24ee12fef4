"""The composition root: settings in, wired programs out.

A `Site` is what the commands and the Python API talk to; `open_server` is what
`grange serve` runs.
"""

from grange.bootstrap.sites import Site, open_site

__all__ = ["Site", "open_site"]
