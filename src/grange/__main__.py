"""`python -m grange` is the command `grange`."""

from __future__ import annotations

from grange.cli.main import main

if __name__ == "__main__":
    main()
