# SPDX-License-Identifier: Apache-2.0
"""A wire that can be cut, clogged and made slow.

TCP from a port of its own to that of a server.  What passes is not
understood here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tests import servers

_CHUNK = 65536


class _Link:
    """One connection and its way on to the server."""

    def __init__(self, client: asyncio.StreamWriter,
                 server: asyncio.StreamWriter) -> None:
        self._writers = (client, server)

    def cut(self) -> None:
        """Reset it on both sides, whatever is under way."""
        for writer in self._writers:
            with contextlib.suppress(OSError):
                # No orderly end: linger for no time at all.
                writer.get_extra_info('socket').setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER,
                    b'\1\0\0\0\0\0\0\0')
            writer.transport.abort()


class Proxy:
    """The wire to one server; its faults last until they are lifted."""

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.port = servers.free_port()
        self._target = target
        self._links: set[_Link] = set()
        self._delay = 0.0
        self._swallowing = self._refusing = False
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._do(self._listen())

    # --- faults, called from other threads ----------------------------------

    def cut(self, chance: random.Random, everything: bool) -> None:
        """Cut all connections, or one."""
        links = sorted(self._links, key=id)
        if not everything and links:
            links = [chance.choice(links)]
        self._call(lambda: [link.cut() for link in links])

    def clog(self) -> None:
        """Nothing passes any more; nothing is lost."""
        self._call(self._flowing.clear)

    def slow(self, seconds: float) -> None:
        """Everything is late by so much."""
        self._call(lambda: setattr(self, '_delay', seconds))

    def swallow(self) -> None:
        """What the server answers is lost; lifting it cuts what is left."""
        self._call(lambda: setattr(self, '_swallowing', True))

    def refuse(self) -> None:
        """Cut everything, and take no new connection."""
        def do() -> None:
            self._refusing = True
            for link in list(self._links):
                link.cut()
        self._call(do)

    def lift(self) -> None:
        """Be an ordinary wire again."""
        def do() -> None:
            if self._swallowing:
                for link in list(self._links):
                    link.cut()
            self._delay = 0.0
            self._swallowing = self._refusing = False
            self._flowing.set()
        self._call(do)

    # --- passing on ---------------------------------------------------------

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _call(self, function: Callable[[], Any]) -> None:
        async def work() -> None:
            function()
        self._do(work())

    async def _listen(self) -> None:
        await asyncio.start_server(self._accept, servers.LOOPBACK, self.port,
                                   limit=_CHUNK)

    async def _accept(self, reader: asyncio.StreamReader,
                      writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            upward, server = await asyncio.open_connection(
                servers.LOOPBACK, self._target, limit=_CHUNK)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pass(reader, server, downward=False),
                self._pass(upward, writer, downward=True))
        except OSError:
            pass
        finally:
            self._links.discard(link)
            link.cut()

    async def _pass(self, reader: asyncio.StreamReader,
                    writer: asyncio.StreamWriter, *, downward: bool) -> None:
        while data := await reader.read(_CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._flowing.wait()
            if downward and self._swallowing:
                continue
            writer.write(data)
            await writer.drain()
        # Whoever closes one way is done with the other, too.
        raise ConnectionResetError
