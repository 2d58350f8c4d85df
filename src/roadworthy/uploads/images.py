"""Re-encode images, so that only their pixels are left.

    avatars = Upload(
        max_bytes=5 * MiB, accept=(PNG, JPEG),
        conversions=dict.fromkeys((PNG, JPEG), Reencode(max_side=1024)),
    )

    @task(runs_on="cpu")                          # or in a job, for what may come later
    def make_thumbnail(data: bytes) -> bytes: return thumbnail(data)

Decoding is the dangerous step. So the size is read from the header first, only the named formats
are opened, and `Reencode` decodes in a process that may open no file and no socket.
"""

import asyncio
import json
import logging
import os
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any, Final, cast

from roadworthy._internal.durations import check_duration
from roadworthy._internal.finish import to_its_end
from roadworthy.problems import ServiceUnavailable
from roadworthy.uploads import pixels
from roadworthy.uploads.arguments import check_number
from roadworthy.uploads.checks import Converted
from roadworthy.uploads.stored import MiB
from roadworthy.uploads.types.images import formats
from roadworthy.uploads.types.images.formats import ImageFormat
from roadworthy.uploads.types.inspecting.filetype import Rejected

__all__ = ["MAX_PIXELS", "Reencode", "reencode", "thumbnail"]

log = logging.getLogger("roadworthy.uploads")

MAX_PIXELS: Final = pixels.MAX_PIXELS
"""The largest images of cameras; decoded, that is 200 MB of memory."""

_PIECE: Final = 256 * 1024
# Needed to find the interpreter and Pillow; secrets of the service are not passed on.
_PASSED_ON: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG")


def thumbnail(data: bytes, *, max_side: int = 256, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return a PNG of the image's first frame that fits into a square, upright.

    PNG, JPEG, GIF, WebP and AVIF are read. Decoding strangers' images takes time and may take
    much memory: call this in a process with a limit, `await job.in_process(thumbnail, data)`.

    Raises:
        Rejected: The image cannot be decoded, or has more than `max_pixels`.
    """
    try:
        return pixels.reencode(
            data,
            opened=[one.pillow for one in formats.SHOWN],
            saved_as=formats.PNG.pillow,
            save_options=formats.PNG.save_options,
            max_side=max_side,
            max_pixels=max_pixels,
        )
    except pixels.Unfit as unfit:
        raise Rejected(unfit.reason, unfit.message) from unfit


def reencode(
    data: bytes, *, media_type: str, max_side: int | None = None, max_pixels: int = MAX_PIXELS
) -> bytes:
    """Return an image, re-encoded: upright, 8-bit sRGB, without metadata.

    A GIF becomes a PNG; other images keep their type. Of an animation, the first frame is left.
    Call this in a process, as `thumbnail`, or use `Reencode`, which does.

    Raises:
        Rejected: The image cannot be decoded, or has more than `max_pixels`.
    """
    options = _options(_format_of(media_type), max_side=max_side, max_pixels=max_pixels)
    try:
        return pixels.reencode(data, **options)
    except pixels.Unfit as unfit:
        raise Rejected(unfit.reason, unfit.message) from unfit


class Reencode:
    """A `Conversion` that re-encodes images, each in a process of its own.

    The process opens no file and no socket. If it fails, is killed or runs out of memory, the
    image is rejected (422).

    Args:
        max_side: Pixels of the longer side; larger images are made smaller.
        max_pixels: The most pixels that an image may have.
        max_memory: The most bytes of memory that the process may use (on Linux).
        max_bytes: The most bytes of the new image.
        timeout: How long the process may take, and how long an upload waits for one of the
            processes before it is answered 503.
        at_once: How many processes run at a time.
    """

    def __init__(
        self,
        *,
        max_side: int | None = None,
        max_pixels: int = MAX_PIXELS,
        max_memory: int = 768 * MiB,
        max_bytes: int = 64 * MiB,
        timeout: timedelta = timedelta(seconds=20),
        at_once: int = 2,
    ) -> None:
        if max_side is not None:
            check_number("max_side", max_side, example="2048")
        check_number("max_pixels", max_pixels, example="50_000_000")
        check_number("max_memory", max_memory, example="768 * MiB")
        check_number("max_bytes", max_bytes, example="64 * MiB")
        check_duration("timeout", timeout, above_zero=True)
        check_number("at_once", at_once, example="2")
        self._max_side, self._max_pixels = max_side, max_pixels
        self._max_memory, self._max_bytes = max_memory, max_bytes
        self._seconds = timeout.total_seconds()
        self._places = asyncio.Semaphore(at_once)

    async def convert(self, data: bytes, *, media_type: str) -> Converted:
        """Return the image, re-encoded.

        Raises:
            Rejected: The image cannot be decoded within the limits.
            ServiceUnavailable: 503. No process was free in time, or none could be started.
        """
        image = _format_of(media_type)
        async with self._place():
            made = await self._decoded(data, image)
        saved = _saved_as(image)
        return Converted(made, saved.media_type, saved.extension)

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._seconds):
                await self._places.acquire()
        except TimeoutError:
            log.warning("an image waited %g s to be decoded: refused", self._seconds)
            raise ServiceUnavailable(retry_after=ceil(self._seconds)) from None
        try:
            yield
        finally:
            self._places.release()

    async def _decoded(self, data: bytes, image: ImageFormat) -> bytes:
        process = await _start(
            options=_options(image, max_side=self._max_side, max_pixels=self._max_pixels),
            plugins=image.plugins,
            max_memory=self._max_memory,
            seconds=ceil(self._seconds) + 1,
        )
        try:
            async with asyncio.timeout(self._seconds):
                made = await _exchange(process, data, self._max_bytes)
                status = await process.wait()
        except TimeoutError:
            raise Rejected("too_slow", "The image takes too long to decode.") from None
        finally:
            await to_its_end(_end(process))
        if status == pixels.UNFIT:
            raise Rejected(*json.loads(made))
        if status:
            log.warning("a process that decoded an image ended with %d", status)
            raise Rejected("broken_image", "The image cannot be decoded.")
        return made


def _format_of(media_type: str) -> ImageFormat:
    found = formats.by_media_type(media_type)
    if found is None:
        known = ", ".join(one.media_type for one in formats.ACCEPTED)
        raise ValueError(f"{media_type} cannot be made anew. These can: {known}.")
    return found


def _saved_as(image: ImageFormat) -> ImageFormat:
    return next((one for one in formats.ACCEPTED if one.pillow == image.saved_as), image)


def _options(image: ImageFormat, *, max_side: int | None, max_pixels: int) -> dict[str, Any]:
    saved = _saved_as(image)
    return {
        "opened": [image.pillow],
        "saved_as": saved.pillow,
        "save_options": dict(saved.save_options),
        "max_side": max_side,
        "max_pixels": max_pixels,
    }


async def _start(**task: Any) -> Process:
    # -P: do not import from the folder of that file.
    command = [sys.executable, "-P", str(Path(pixels.__file__)), json.dumps(task)]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, env=environment
        )
    except OSError as error:  # the machine has no memory, or too many processes
        log.exception("no process could be started to decode an image")
        raise ServiceUnavailable from error


async def _exchange(process: Process, data: bytes, max_bytes: int) -> bytes:
    """Send an image to the process, and return its whole output."""
    to, of = cast("StreamWriter", process.stdin), cast("StreamReader", process.stdout)
    with suppress(ConnectionError):  # the process has ended: its status says why
        to.write(data)
        await to.drain()
    with suppress(ConnectionError):
        to.close()
        await to.wait_closed()
    made = bytearray()
    while piece := await of.read(_PIECE):
        made += piece
        if len(made) > max_bytes:
            raise Rejected("too_large", "The image is too large when it is made anew.")
    return bytes(made)


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
