"""Workers: machines that take work from this server."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import Request

from grange.client.schemas import workers as schemas
from grange.client.schemas.basis import Page
from grange.pool.models import BEAT_SECONDS, PROTOCOL, Facts, site_word
from grange.pool.models import Joined as Equipped
from grange.server.api.basis import IdInPath, Router
from grange.server.crew import crew_of, token_told
from grange.server.heavy import RENEWING
from grange.server.idempotency import Repeatable
from grange.server.parts import Parts
from grange.server.stations import Working
from grange.server.visitors import Administrator, Here, Visitor, Whereabouts

router = Router(prefix="/workers", tags=["workers"])


@router.get("")
def list_workers(visitor: Visitor, here: Here) -> Page[schemas.Worker]:
    """All workers, by name, with what each does now; not for viewers."""
    items = crew_of(here, visitor).all()
    return Page[schemas.Worker](items=items, total=len(items))


@router.get("/tokens")
def list_worker_tokens(admin: Administrator, here: Here) -> Page[schemas.WorkerToken]:
    """The tokens by which machines may still join, the newest first."""
    items = [token_told(token) for token in here.workers.tokens(admin)]
    return Page[schemas.WorkerToken](items=items, total=len(items))


@router.post("/tokens", status_code=201)
def make_worker_token(
    body: schemas.NewWorkerToken, admin: Administrator, here: Here, once: Repeatable
) -> schemas.MadeWorkerToken:
    """Make a token by which machines may join. Its line is shown this once."""

    def make() -> schemas.MadeWorkerToken:
        made = here.workers.make_token(
            admin, labels=body.labels, seconds=body.expires_seconds, uses=body.uses
        )
        return schemas.MadeWorkerToken(token=token_told(made.token), line=made.line)

    def again(token: str) -> schemas.MadeWorkerToken:
        here.workers.revoke_token(admin, token)
        return make()

    return once.make_secret(body, make, again=again, of=lambda made: made.token.id)


@router.delete("/tokens/{token}", status_code=204)
def revoke_worker_token(token: IdInPath, admin: Administrator, here: Here) -> None:
    """End a token; who has joined by it stays."""
    here.workers.revoke_token(admin, token)


@router.post("/join", status_code=201)
def join_worker(body: schemas.Joining, here: Here, place: Whereabouts) -> schemas.Joined:
    """Let a machine join, by a token and a secret that it has made itself.

    The same token and secret again, after an answer that got lost, find the same worker.
    """
    said = body.facts
    facts = Facts(
        name=said.name,
        labels=tuple(said.labels),
        capacity=said.capacity.model_dump(),
        version=said.version,
        protocol=said.protocol,
        system=said.system,
        metrics_url=said.metrics_url,
    )
    return _joined(here, here.workers.join(body.token, body.secret, facts, place))


@router.post("/me/renew")
async def renew_worker(request: Request, worker: Working, here: Here) -> schemas.Joined:
    """For a worker: all that it was told when it joined, with credentials that the engine knows."""
    key = request.headers["authorization"].partition(" ")[2].strip()
    return await RENEWING.do(worker.id, lambda: _joined(here, here.workers.renew(worker, key)))


@router.post("/me/beat")
def beat_worker(
    body: schemas.Beat, worker: Working, here: Here, place: Whereabouts
) -> schemas.Orders:
    """For a worker: say that it is there and what it does, and hear what is wanted of it."""
    orders = here.workers.beat(worker, body.model_dump(), place)
    return schemas.Orders(
        state=orders.state.value,
        beat_seconds=orders.beat_seconds,
        lease_seconds=here.settings.lease_seconds,
        version=version("grange"),
        protocol=PROTOCOL,
        fits=not orders.misfit,
        said=orders.misfit,
    )


@router.get("/{worker}")
def show_worker(worker: IdInPath, visitor: Visitor, here: Here) -> schemas.Worker:
    """The worker of an id or a name; not for viewers."""
    return crew_of(here, visitor).one(worker)


@router.patch("/{worker}")
def change_worker(
    worker: IdInPath, body: schemas.WorkerChange, admin: Administrator, here: Here
) -> schemas.Worker:
    """Rename a worker, let it drain (it finishes what it holds), or let it take work again."""
    found = here.workers.find(admin, worker)
    if body.name is not None:
        found = here.workers.rename(admin, found.id, body.name)
    if body.state is not None:
        found = here.workers.drain(admin, found.id, drain=body.state == "draining")
    return crew_of(here, admin).told(found)


@router.delete("/{worker}", status_code=204)
def remove_worker(worker: IdInPath, admin: Administrator, here: Here) -> None:
    """Remove a worker: its credentials open nothing any longer, here and at the broker."""
    here.workers.remove(admin, worker)


def _joined(here: Parts, joined: Equipped) -> schemas.Joined:
    worker = joined.worker
    return schemas.Joined(
        worker=worker.id,
        name=worker.name,
        labels=list(worker.labels),
        site=site_word(here.accounts.site()),
        engine=joined.engine,
        probes=[schemas.Probe(path=one.path, content=one.content) for one in joined.probes],
        beat_seconds=BEAT_SECONDS,
        lease_seconds=here.settings.lease_seconds,
        version=version("grange"),
        protocol=PROTOCOL,
    )
