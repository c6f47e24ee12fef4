"""The pages: templates over the same services as the API, made more lively by small scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_pages(app: FastAPI) -> None:
    """Put the pages, the files that they load, and their way of telling errors into the app.

    Raises:
        ExtraMissing: The browser libraries were left out when Grange was built.
    """
    from grange.server.web import assets, pages
    from grange.server.web.refusals import error_page

    assets.assets()
    app.include_router(assets.router)
    for router in pages.routers():
        app.include_router(router)
    app.state.error_page = error_page
