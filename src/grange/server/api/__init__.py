"""The HTTP API under /api/v1: thin routers, one document."""
