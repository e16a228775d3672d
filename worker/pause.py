"""The queue can be paused: workers begin nothing new then, finish what they run, and uploads are still accepted.

arq's own loop knows of no pause; it begins tasks all the same.
"""

from redis.asyncio import Redis

from worker.queue import PAUSED, WAKE_CHANNEL
from worker.states import now_ms


async def pause(redis: Redis) -> None:
    """Let no worker begin anything from now on; it stays so until `resume`, whatever is started again."""
    await redis.set(PAUSED, now_ms(), nx=True)


async def resume(redis: Redis) -> None:
    """Let the workers begin tasks again, and wake them."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete(PAUSED)
        pipe.publish(WAKE_CHANNEL, "")
        await pipe.execute()
