"""POST /api/ratings: which of two answers a person preferred, kept for the statistics of an evaluation."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from tunesmith.serve.limits import ApiError
from tunesmith.serve.routes.common import ERRORS, TheHouse
from tunesmith.serve.schema import Error, Kept, Rating

router = APIRouter()


@router.post("/api/ratings", responses=ERRORS | {404: {"model": Error, "description": "No ratings are kept here."}})
async def rate(request: Rating, house: TheHouse) -> Kept:
    """Keep a preference."""
    if house.ratings is None:
        raise ApiError(404, "this server keeps no ratings; start it with --ratings FILE")
    row = {"time": round(time.time(), 3), **request.model_dump()}
    try:
        await asyncio.to_thread(append, house.ratings, row)
    except OSError as error:
        raise ApiError(500, f"the rating was not kept: {error.strerror}") from error
    return Kept()


def append(path: Path, row: dict[str, Any]) -> None:
    """Add one line, on disk when this returns. One write: lines of two requests do not mix."""
    line = json.dumps(row, ensure_ascii=False) + "\n"
    with path.open("ab", buffering=0) as file:
        file.write(line.encode())
        os.fsync(file.fileno())
