"""Pages that ask before something is lost; scripts show the same as a dialog."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request, Response

from grange.server.web.templating import is_fragment, render


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked: `losses` name what will be gone, `path` takes the form that means yes."""

    title: str
    text: str
    verb: str
    path: str
    back: str
    losses: tuple[str, ...] = ()
    stays: str = ""  # what will not be gone


def ask(request: Request, question: Question) -> Response:
    """The question as a page, or as what a dialog shows."""
    template = "question.html" if is_fragment(request) else "ask.html"
    return render(request, template, question=question)
