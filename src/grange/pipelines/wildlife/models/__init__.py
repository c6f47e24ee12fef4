"""Models as plug-ins: manifests, where they are found, and how each kind is run."""
