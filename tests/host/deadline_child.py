"""A program with a deadline, whose event loop may hang: `python -m tests.host.deadline_child READER OUT [hang]`."""

import asyncio
import os
import sys
import time

from condord.host.deadline import DeadlineWatch
from condord.host.suspensions import CheckingSelector


async def main(out: int, *, hangs: bool) -> None:
    os.write(out, b"started\n")
    if hangs:
        time.sleep(60)  # noqa: ASYNC251 - it must block the loop
    while True:
        await asyncio.sleep(0.01)
        os.write(out, b".")


if __name__ == "__main__":
    watch = DeadlineWatch(int(sys.argv[1]))
    watch.start()
    loop = asyncio.SelectorEventLoop(CheckingSelector(watch.check))
    loop.run_until_complete(main(int(sys.argv[2]), hangs="hang" in sys.argv))
