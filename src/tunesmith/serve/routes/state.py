"""Models, health, metrics."""

import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from tunesmith.serve.metrics import CONTENT_TYPE
from tunesmith.serve.routes.common import ERRORS, NO_MODEL, TheHouse
from tunesmith.serve.schema import Health, ModelCard, ModelFacts, ModelList

router = APIRouter()
STARTED = int(time.time())


@router.get("/v1/models", responses=ERRORS)
async def models(house: TheHouse) -> ModelList:
    return ModelList(data=[ModelCard(id=name, created=STARTED) for name in house.models])


@router.get("/v1/models/{name:path}", responses=ERRORS | {404: NO_MODEL})
async def model(name: str, house: TheHouse) -> ModelCard:
    return ModelCard(id=house.model(name).id, created=STARTED)


@router.get("/api/models", responses=ERRORS)
async def facts(house: TheHouse) -> list[ModelFacts]:
    """What the chat page asks about each model."""
    return [
        ModelFacts(
            id=served.id,
            engine=served.engine.name,
            context=served.engine.context,
            system=served.tongue.takes_system,
            chat=served.tongue.chats,
            tools=served.tongue.form is not None,
        )
        for served in house.models.values()
    ]


@router.get("/health", responses={403: ERRORS[403]})
async def health() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/ready", response_model=Health, responses={403: ERRORS[403], 503: {"model": Health}})
async def ready(house: TheHouse) -> Response:
    """Whether new questions are taken."""
    status = "failed" if not house.alive() else "draining" if house.draining else "ok"
    return JSONResponse({"status": status}, 200 if status == "ok" else 503)


@router.get("/metrics", response_class=PlainTextResponse, responses=ERRORS)
async def metrics(house: TheHouse) -> Response:
    """For Prometheus."""
    return Response(house.metrics.text(), media_type=CONTENT_TYPE)
