"""The typed client of Grange's own HTTP API, and the types that travel over it."""
