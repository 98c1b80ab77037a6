"""What a figure was measured on: the machine and the versions, as plain data that travel with it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "mathdnn",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "msgspec",
    "safetensors",
    "joblib",
    "matplotlib",
    "onnxruntime",
    "jax",
)

FLAGS = ("sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_bf16", "avx512_fp16")
ARM_FLAGS = ("asimd", "asimdhp", "sve", "sve2", "bf16")


def versions() -> dict[str, str]:
    """Versions of the packages that figures depend on, as installed; none of them is imported."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory in bytes, vector instruction sets, operating system, Python.

    No name of the machine or of a person is among them. What the system does not tell is None or an empty list.
    """
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": _cores(),
        "memory_bytes": _memory(),
        "instruction_set": _flags(),
        "kernels": _kernels(),
        "os": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _cpuinfo(key: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    return ""


def _sysctl(key: str) -> str:
    if platform.system() != "Darwin":
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, timeout=5).stdout.strip()
    return ""


def _processor() -> str:
    return _cpuinfo("model name") or _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine()


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _memory() -> int | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _flags() -> list[str]:
    found = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [flag for flag in (*FLAGS, *ARM_FLAGS) if flag in found]


def _kernels() -> str | None:
    """The instruction set that the compiled kernels take here, or None where they were not built."""
    from mathdnn import native

    with contextlib.suppress(ImportError):
        return native.instruction_set()
    return None
