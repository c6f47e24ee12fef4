"""A typed client of a Grange server: one method for each operation of its API.

`grange.client.api.Client` has `accounts`, `runs`, `files` and `system`; each
answers with the types of `grange.client.schemas` and raises the very errors of
`grange.errors` that the server met. Nothing is imported here: the server
shares the schemas, and needs no client for that.
"""
