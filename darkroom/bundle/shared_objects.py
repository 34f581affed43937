"""Compiled libraries: which are needed, for which machine, and without debug information."""

import io
import re
from collections.abc import Mapping
from contextlib import suppress

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from darkroom.bundle.target import MACHINES
from darkroom.errors import UserError


def is_shared_object(name: str) -> bool:
    """Return whether a file name is that of a compiled library, of any system."""
    return re.search(r"\.(so(\.[\d.]+)?|dylib|pyd|dll)$", name) is not None


def without_debug_information(data: bytes) -> bytes:
    """Zero what only a debugger reads, most of Pillow's compiled modules: zeros compress away."""
    with suppress(ELFError):  # check() refuses files that are not ELF, by name
        slim, elf = bytearray(data), ELFFile(io.BytesIO(data))
        loaded = [(part["p_offset"], part["p_filesz"]) for part in elf.iter_segments()]
        for section in elf.iter_sections():
            start, size = section["sh_offset"], section["sh_size"]
            if section.name.startswith(".debug_") and not any(
                start < begin + length and begin < start + size for begin, length in loaded
            ):
                slim[start : start + size] = bytes(size)
        return bytes(slim)
    return data


def needed_libraries(data: bytes) -> set[str]:
    """Return the names of the libraries that an ELF file loads directly."""
    dynamic = ELFFile(io.BytesIO(data)).get_section_by_name(".dynamic")
    if not isinstance(dynamic, DynamicSection):
        return set()
    tags = dynamic.iter_tags("DT_NEEDED")
    return {tag.needed for tag in tags}  # type: ignore[attr-defined]  # set for such tags only


def without_unneeded_libraries(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Leave out bundled libraries (pillow.libs/…) that no kept module needs, directly or not."""
    bundled = {
        name.rpartition("/")[2]: name
        for name in files
        if ".libs/" in name and is_shared_object(name)
    }
    needed: set[str] = set()
    waiting = [name for name in files if is_shared_object(name) and name not in bundled.values()]
    while waiting:
        found = needed_libraries(files[waiting.pop()])
        fresh = {bundled[library] for library in found & bundled.keys()} - needed
        needed |= fresh
        waiting += fresh
    unneeded = set(bundled.values()) - needed
    return {name: data for name, data in files.items() if name not in unneeded}


def check(name: str, data: bytes, *, runtime: str, architecture: str) -> None:
    """Refuse a compiled file that the function could not load (pitfall 38).

    Raises:
        UserError: the file is for another system, machine or Python; what is not compiled passes.
    """
    if not is_shared_object(name):
        return
    machine = MACHINES[architecture]
    try:
        found = ELFFile(io.BytesIO(data))["e_machine"]
    except ELFError:
        raise UserError(f"{name} is not a Linux library, so Lambda cannot load it") from None
    if found != machine.elf:
        raise UserError(
            f"{name} is compiled for {found}, but {architecture} is {machine.elf}:"
            f" a wheel for another architecture is in the package"
        )
    abi = "cpython-" + runtime.removeprefix("python").replace(".", "") + "-"
    tag = re.search(r"\.(cpython-\w+-)", name)
    if tag and tag[1] != abi:
        raise UserError(f"{name} is for another Python than {runtime}: its ABI tag is not {abi}…")
