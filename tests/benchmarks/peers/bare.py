"""The least that a program can do: an aiohttp session, rows taken by as many workers as calls may be open, 429 waited out."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.benchmarks.peers.arguments import MODEL, Task, read_task


async def ask(session: aiohttp.ClientSession, url: str, prompt: str) -> str:
    """Return the reply to a prompt."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
    while True:
        async with session.post(url, json=body) as response:
            if response.status == 429:
                await asyncio.sleep(float(response.headers["Retry-After"]))
                continue
            response.raise_for_status()
            reply: str = (await response.json())["choices"][0]["message"]["content"]
            return reply


async def ask_all(task: Task) -> None:
    """Take each row through the chain."""
    waiting = iter(task.rows)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for row in waiting:
                for number, prompt in enumerate(task.prompts, start=1):
                    row[f"reply_{number}"] = await ask(session, f"{task.url}/chat/completions", prompt.format(**row))

        await asyncio.gather(*(work() for _ in range(task.concurrency)))


if __name__ == "__main__":
    told = read_task()
    asyncio.run(ask_all(told))
    told.write(told.rows)
