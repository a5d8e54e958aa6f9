"""A parent that starts `child_program` with its own arguments, and waits for it until it is killed."""

import asyncio
import os
import sys

from condord.host.child_process import ChildProcess


async def main():
    out = int(sys.argv[sys.argv.index("--out") + 1])
    child = await ChildProcess.start("tests.host.child_program", sys.argv[1:], environ=os.environ, pass_fds=[out])
    os.close(out)
    await child.wait()


asyncio.run(main())
