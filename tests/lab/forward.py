#!/usr/bin/env python3
"""Forwards TCP: forward.py PORT IP:PORT. Whoever connects to PORT of this machine speaks with the other.

A worker takes a relay without TLS on its own machine only. In the lab each namespace is one, and the relay is in
another: by this it is at the same address in all of them.
"""

import asyncio
import sys


async def pour(source, sink):
    """Everything from one side to the other, until it ends."""
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()


async def main(port, address, there):
    """Forwards until it is killed."""

    async def connected(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(address, there)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pour(reader, far_writer), pour(far_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    ADDRESS, THERE = sys.argv[2].split(":")
    asyncio.run(main(int(sys.argv[1]), ADDRESS, int(THERE)))
