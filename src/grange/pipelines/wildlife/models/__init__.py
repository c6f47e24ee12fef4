"""Models as plug-ins: a file with a manifest that says what it is, and what opens it."""
