"""Ray's command, as it starts the head of a cluster of our own: with a server for one client."""

from __future__ import annotations

import runpy
import sys
from functools import partial


def main() -> None:
    """Run the command line as Ray's."""
    _serve_one_client()
    sys.argv[0] = "ray"
    runpy.run_module("ray.scripts.scripts", run_name="__main__", alter_sys=True)


def _serve_one_client() -> None:
    """Have the server for clients serve its one client itself.

    Ray's starts another server for each client, and forks for that while gRPC is at work, of which
    the child may die; and it takes the child's port from a range that is the same for all clusters
    of a machine, so that two of them may get the other's client.
    """
    from ray._private import services

    start = partial(services.start_ray_client_server, server_type="specific-server")
    services.start_ray_client_server = start


if __name__ == "__main__":
    main()
