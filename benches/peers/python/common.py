"""What every server of this folder shares: the address it prints, and the end that SIGTERM asks for. Not the service: each library writes that in its own way."""

import asyncio
import signal
import sys

HOST = "127.0.0.1"


def listening(port: int) -> None:
    """Tells the suite where this server is; a port of 0 is one that could not be bound."""
    if port == 0:
        sys.exit("no port of loopback can be bound")
    print(f"listening on {HOST}:{port}", flush=True)


async def sigterm() -> None:
    """Returns when SIGTERM has come. Cancelled, it leaves the handler installed."""
    come = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, come.set)
    await come.wait()


def run(main, loop: str) -> None:
    """Runs the coroutine function `main` on a loop by its word, `asyncio` or `uvloop`: all that differs between the two."""
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    elif loop == "asyncio":
        factory = asyncio.new_event_loop
    else:
        sys.exit(f"no such loop: {loop}; asyncio or uvloop")
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
