"""Watching a run of a server: its events become those that displays know."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

from grange.bootstrap.remote import views
from grange.client.events import Cut, Gone, Happening
from grange.client.schemas.runs import ItemsEnded, RunSnapshot
from grange.core.events import RunNote
from grange.errors import RunNotFound

if TYPE_CHECKING:
    from grange.bootstrap.remote.bringing import Bringer
    from grange.client.api import Client
    from grange.core.events import Observer
    from grange.runs.models import RunView

# After so much silence the run is asked after: the stream may have missed its end.
LOOK_SECONDS = 5.0
_ENDS = frozenset({"done", "failed", "cancelled", "paused"})


def watch(
    client: Client,
    view: RunView,
    observer: Observer,
    stop: threading.Event,
    *,
    bringer: Bringer | None = None,
) -> None:
    """Tell the observer what happens, and the bringer what has ended, until the run ends.

    Raises:
        RunNotFound: It was deleted.
        ServerUnreachable: The server was gone for too long.
    """
    watcher = _Watcher(view, observer, bringer)
    if not watcher.has_ended(client.runs.show_run(view.id).state):
        _listen(client, view, watcher, stop)
    if not stop.is_set():
        watcher.tell_overlooked(client)


def _listen(client: Client, view: RunView, watcher: _Watcher, stop: threading.Event) -> None:
    heard_at = time.monotonic()
    after = "start" if watcher.is_fresh else ""
    with closing(client.runs.follow_events(view.id, after=after)) as following:
        for happening in following:
            if stop.is_set():
                return
            if happening is not None:
                heard_at = time.monotonic()
                if watcher.hear(happening):
                    return
            elif time.monotonic() - heard_at > LOOK_SECONDS and not watcher.is_cut:
                heard_at = time.monotonic()
                if watcher.has_ended(client.runs.show_run(view.id).state):
                    return
            watcher.look()


class _Watcher:
    """What is known of the run so far."""

    def __init__(self, view: RunView, observer: Observer, bringer: Bringer | None) -> None:
        self._view = view
        self._observer = observer
        self._bringer = bringer
        self._told: set[int] = set()
        # Of a run that was there before, what had ended by then is no news.
        self.is_fresh = view.counts.ended == 0
        self.is_cut = False

    def hear(self, happening: Happening) -> bool:
        """Pass it on; whether the run has come to rest."""
        if isinstance(happening, Cut):
            self._cut(happening)
            return False
        self.is_cut = False
        if isinstance(happening, Gone):
            raise RunNotFound(f"Run {self._view.id} is there no longer.")
        if isinstance(happening, ItemsEnded):
            self._ended(happening)
            return False
        return self._stands(happening)

    def has_ended(self, state: str) -> bool:
        """Whether nothing more is to be waited for."""
        return state in _ENDS

    def look(self) -> None:
        """Let results come."""
        if self._bringer is not None:
            self._bringer.look()

    def tell_overlooked(self, client: Client) -> None:
        """Tell of items that ended before the stream was heard, or while it was cut."""
        if not self.is_fresh:
            return
        for item in client.runs.every_item(self._view.id):
            if item.ended_at is not None and item.id not in self._told:
                self._observer(views.item_ended(self._view.id, item))

    def _cut(self, cut: Cut) -> None:
        if not self.is_cut:
            words = f"{cut.why} Waiting for it; the run is safe."
            self._observer(RunNote(run=self._view.id, text=words))
        self.is_cut = True

    def _ended(self, happened: ItemsEnded) -> None:
        fresh = [one for one in happened.items if one.id not in self._told]
        for one in fresh:
            self._told.add(one.id)
            self._observer(views.item_ended(self._view.id, one))
        if self._bringer is not None:
            self._bringer.ended([one.id for one in fresh if one.state == "done" and one.outputs])

    def _stands(self, snapshot: RunSnapshot) -> bool:
        self._observer(views.progress(snapshot, bytes_total=self._view.bytes_total))
        return self.has_ended(snapshot.state)
