"""Debian's next release in a folder, for the Pythons that it alone has."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

__all__ = ["Chroot", "Refused", "refusal"]

RELEASE = "forky"
_MIRROR = "http://deb.debian.org/debian"
_SCRIPT = "sid"
"""What debootstrap knows how to make: an older one does not know the release itself."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class Refused(Exception):
    """A Python cannot be had here: the text says why, and what to type."""


def refusal(*, root: bool, debootstrap: bool) -> str | None:
    """Say why no chroot can be made here, or None."""
    if not root:
        return (
            "Pythons from Debian's next release are installed into a folder with chroot and mount, "
            "which only root may do. Type: sudo make pythons"
        )
    if not debootstrap:
        return "There is no debootstrap. Type: apt-get install debootstrap"
    return None


@dataclass(slots=True)
class Chroot:
    """A folder with a system of its own, and what is mounted there."""

    folder: Path
    mounted: list[Path] = field(default_factory=list[Path])

    @classmethod
    @contextmanager
    def made(cls, packages: Sequence[str]) -> Generator[Self]:
        """Install a system with `packages` into a new folder; remove all of it at the end.

        Raises:
            Refused: It cannot be made here.
        """
        told = refusal(root=os.geteuid() == 0, debootstrap=shutil.which("debootstrap") is not None)
        if told is not None:
            raise Refused(told)
        one = cls(Path(tempfile.mkdtemp(prefix="next-")))
        try:
            one._install(packages)
            one._mount()
            yield one
        finally:
            one.remove()

    def run(self, *command: str, quiet: bool = False) -> int:
        """Run a command inside; its end is returned."""
        output = subprocess.DEVNULL if quiet else None
        words = ["chroot", str(self.folder), *command]
        return subprocess.run(words, stdout=output, env=_environment(), check=False).returncode

    def remove(self) -> None:
        """Unmount everything, the last first, and only then remove the folder.

        Raises:
            Refused: Something is still mounted: the folder is left, since removing what is in it
                would remove what is mounted there.
        """
        for place in reversed(self.mounted):
            done = subprocess.run(["umount", "--recursive", str(place)], check=False)
            if done.returncode:  # something still runs there: it goes when that ends
                subprocess.run(["umount", "--recursive", "--lazy", str(place)], check=False)
        self.mounted.clear()
        left = sorted(mounts_under(self.folder))
        if left:
            then = f"Type: umount {left[0]}; rm -r {self.folder}"
            raise Refused(f"{left[0]} is still mounted. {then}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _install(self, packages: Sequence[str]) -> None:
        print(f"installing {RELEASE} into {self.folder}: {', '.join(packages)}", flush=True)
        included = ",".join(["ca-certificates", "git", *packages])
        system = ["--variant=minbase", f"--include={included}", RELEASE, str(self.folder)]
        command = ["debootstrap", *system, _MIRROR, _SCRIPT]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise Refused(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
        with suppress(FileNotFoundError):  # so that a proxy is trusted here as it is outside
            shutil.copy(_CERTIFICATES, self.folder / _CERTIFICATES.relative_to("/"))

    def _mount(self) -> None:
        self._at("proc", ["-t", "proc", "proc"])
        self._at("dev", ["--bind", "/dev"])
        self._at("dev/pts", ["--bind", "/dev/pts"])
        self._at("dev/shm", ["--bind", "/dev/shm"])  # noqa: S108 - what semaphores live in

    def _at(self, place: str, what: Sequence[str]) -> None:
        path = self.folder / place
        if subprocess.run(["mount", *what, str(path)], check=False).returncode:
            raise Refused(f"{path} cannot be mounted: this root may not, as in most containers")
        self.mounted.append(path)


def mounts_under(folder: Path) -> Iterator[str]:
    """Yield what is mounted in a folder, as the kernel tells."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        place = line.split()[1].replace("\\040", " ")
        if Path(place).is_relative_to(folder.resolve()):
            yield place


def _environment() -> dict[str, str]:
    """Return the environment without folders that are not inside."""
    return {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
