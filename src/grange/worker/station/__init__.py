"""A station: the program `grange worker` of one machine, which takes work for its own processes.

It holds the connections and moves bytes, and does no work itself: that is done
by worker processes, which are started as those of a run on one machine are, and
know nothing of the server or the broker.
"""
