"""The dialects in which results are exchanged."""
