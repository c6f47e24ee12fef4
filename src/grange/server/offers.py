"""The pipelines and models that people may choose from."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from grange.client.schemas import runs as schemas
from grange.client.schemas.models import Model
from grange.errors import GrangeError, PipelineNotFound
from grange.pipelines import catalog
from grange.pipelines.wildlife.models.describing import described
from grange.pipelines.wildlife.models.registry import Models
from grange.server import access

if TYPE_CHECKING:
    from grange.accounts.models import Actor
    from grange.server.shown import Veil


def pipelines(actor: Actor, commands: str) -> list[schemas.Pipeline]:
    """The installed pipelines that work, with whether the actor may run them."""
    names = [info.name for info in catalog.names() if not info.error]
    return [pipeline(actor, name, commands) for name in names]


def pipeline(actor: Actor, name: str, commands: str) -> schemas.Pipeline:
    """The installed pipeline of a name; files are none.

    Raises:
        PipelineNotFound: There is none.
    """
    if access.is_own_code(name) and name not in access.ANY_PROGRAM:
        raise PipelineNotFound(
            f"no pipeline is called {name[:100]!r}", hint="See the list of them."
        )
    found = catalog.find(name)
    try:
        parameters = found.Parameters.model_json_schema()
    except Exception as error:
        raise GrangeError(f"The parameters of {name} can't be described: {error}") from error
    return schemas.Pipeline(
        name=found.name,
        version=found.version,
        summary=found.summary,
        description=inspect.cleandoc(type(found).__doc__ or ""),
        accepts=list(found.accepts),
        exports=list(found.exports),
        parameters=parameters,
        allowed=access.may_run(actor, name, commands=commands),
    )


def models(home: Path, veil: Veil) -> list[Model]:
    """The models of the server's home, with those that ship with Grange."""
    return [Model(**veil.over(described(one))) for one in Models(home / "models").entries()]


def model(home: Path, name: str, veil: Veil) -> Model:
    """The model of a name; paths name none.

    Raises:
        ModelNotFound: There is none.
    """
    return Model(**veil.over(described(Models(home / "models").entry(name, files=False))))
