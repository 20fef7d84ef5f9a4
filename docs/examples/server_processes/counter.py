"""A FastAPI application that counts visits in redis."""

import os

import redis.asyncio
from fastapi import FastAPI

app = FastAPI()
store = redis.asyncio.from_url(os.environ["REDIS_URL"])


@app.get("/visit")
async def visit() -> dict[str, int]:
    return {"visits": await store.incr("visits")}
