"""Write minute after minute to the file in argv, beginning with the minute in argv; print each once it is written."""

import asyncio
import sys
from pathlib import Path

from tests.history.rows import begin, opened, row


async def main(path, minute):
    with opened(path) as store:
        await begin(store)
        while True:
            minute += 1
            await store.record([row(minute, minute * 50), row(minute, minute * 50, condor=None)])
            assert store.fault is None
            print(minute, flush=True)  # noqa: T201


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
