"""Compiles to PTX what has changed of the package's kernels: compile.py LIBNVRTC INCLUDE_DIR. No GPU and no nvcc.

With NVRTC 11.8 (PyPI: nvidia-cuda-nvrtc-cu11 and, for the headers, nvidia-cuda-runtime-cu11, both 11.8.89), whose PTX
7.8 drivers from 520 on take.
"""

import ctypes
import gzip
import sys

from ffs_ros.engine.kernel_calls import ptx, ptx_path, source_sha256, source_text
from ffs_ros.engine.kernel_launches import KERNELS

ARCHITECTURE = "compute_80"


def main(library, include):
    nvrtc = ctypes.CDLL(library)
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    options = [f"--gpu-architecture={ARCHITECTURE}", f"--include-path={include}", "--std=c++14", "-default-device"]
    for name in KERNELS:
        note = f"// From {name}.cu, SHA-256 with what it includes {source_sha256(name)}\n"
        if ptx_path(name).exists() and ptx(name).decode().startswith(note):
            continue
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), source_text(name), f"{name}.cu".encode(), 0, None, None)
        words = (ctypes.c_char_p * len(options))(*map(str.encode, options))
        code = nvrtc.nvrtcCompileProgram(program, len(options), words)
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        print(log.value.decode(), end="")
        if code:
            raise SystemExit(nvrtc.nvrtcGetErrorString(code).decode())
        nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
        written = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetPTX(program, written)
        lines = [line for line in written.value.decode().splitlines() if line and not line.startswith("//")]
        text = note + "\n".join(lines) + "\n"
        ptx_path(name).write_bytes(gzip.compress(text.encode("ascii"), mtime=0))
        print(f"{ptx_path(name)}: {ptx_path(name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
