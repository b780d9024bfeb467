"""POST /v1/embeddings: the mean of a text's last hidden states."""

import asyncio
import base64
from array import array

from fastapi import APIRouter

from tunesmith.serve.limits import ApiError
from tunesmith.serve.routes.common import ASKING, Leave, TheHouse, several
from tunesmith.serve.routes.completions import ids_of
from tunesmith.serve.schema import Embedding, EmbeddingReply, EmbeddingRequest, EmbeddingUsage

router = APIRouter()


@router.post("/v1/embeddings", responses=ASKING)
async def embeddings(request: EmbeddingRequest, house: TheHouse, leave: Leave) -> EmbeddingReply:
    """A vector for each text. A language model was not trained for this: near vectors are a hint, no more."""
    served = house.model(request.model)
    texts = [ids_of(text, served.tongue) for text in several(request.input)]
    for ids in texts:
        if not 0 < len(ids) <= served.engine.context:
            message = f"a text has {len(ids)} tokens; 1 to {served.engine.context} are possible"
            raise ApiError(400, message, "input", "context_length_exceeded")
    leave.enter_context(house.place(1))
    found = []
    for number, ids in enumerate(texts):
        vector = await asyncio.to_thread(served.engine.embed, ids)
        if vector is None:
            raise ApiError(400, f"{served.id} runs on {served.engine.name}, which tells no hidden states", "model")
        found.append(Embedding(index=number, embedding=packed(vector, request.encoding_format)))
    read = sum(map(len, texts))
    house.metrics.tokens.labels(served.id, "read").inc(read)
    return EmbeddingReply(data=found, model=served.id, usage=EmbeddingUsage(prompt_tokens=read, total_tokens=read))


def packed(vector: list[float], form: str) -> list[float] | str:
    """The numbers, or base64 of them as little-endian float32."""
    if form == "float":
        return vector
    numbers = array("f", vector)
    return base64.b64encode(numbers.tobytes()).decode()
