"""The script that haul replaces: a semaphore over all tasks, then a pool of processes. Nothing of it survives a crash."""

import asyncio
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import aiohttp

URL, JOBS, AT_ONCE = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def process(body):
    return {"sum_of_squares": sum(n * n for n in range(json.loads(body)["below"]))}


async def fetch(session, slots, n):
    async with slots:
        async with session.get(f"{URL}/{n}") as response:
            return await response.text()


async def fetch_all():
    slots = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        return await asyncio.gather(*(fetch(session, slots, n) for n in range(JOBS)))


if __name__ == "__main__":
    bodies = asyncio.run(fetch_all())
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(process, bodies, chunksize=64))
    assert len(results) == JOBS
