"""The station's way to the server: made when it is needed, and made anew when it was lost."""

from __future__ import annotations

import threading

from grange.client.schemas.workers import Beat, Joined, Orders
from grange.client.work import Work
from grange.client.workers import Me
from grange.errors import ServerUntrusted
from grange.worker.station.papers import Papers


class Link:
    """Speaks to the server by the station's papers. Blocks; may be used from several threads.

    Nothing is asked of the server before it is needed, so that a station starts
    while its server is away.
    """

    def __init__(self, papers: Papers) -> None:
        """Keep who and where."""
        self._papers = papers
        self._lock = threading.Lock()
        self._me: Me | None = None
        self._stopped = False

    def beat(self, said: Beat) -> Orders:
        """Say how the station is, and hear what is wanted.

        Raises:
            CredentialsInvalid: It was removed.
            ServerError: The server can't be reached.
        """
        me = self._open()
        try:
            return me.beat(said)
        except ServerUntrusted:
            # Its certificate is another one by now; the next try looks at it anew.
            self._drop()
            raise

    def renew(self) -> Joined:
        """What the station was told when it joined, with credentials that the broker knows.

        Raises:
            CredentialsInvalid: It was removed.
            ServerError: The server can't be reached.
        """
        return self._open().renew()

    def work(self) -> Work:
        """The way for inputs and outputs.

        Raises:
            ServerUnreachable: The server can't be reached.
        """
        return Work(self._open().connection)

    def stop(self) -> None:
        """Cut what is under way: the station ends."""
        with self._lock:
            self._stopped = True
            if self._me is not None:
                self._me.connection.stop.set()

    def close(self) -> None:
        """Let go of the server. Idempotent."""
        self.stop()
        self._drop()

    def _open(self) -> Me:
        with self._lock:
            if self._me is None:
                papers = self._papers
                self._me = Me(papers.server, papers.key, pin=papers.pin)
                if self._stopped:
                    self._me.connection.stop.set()
            return self._me

    def _drop(self) -> None:
        with self._lock:
            me, self._me = self._me, None
        if me is not None:
            me.close()
