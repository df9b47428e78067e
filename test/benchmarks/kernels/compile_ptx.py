"""Compiles kernels.cu to kernels.ptx with NVRTC, no GPU and no nvcc: compile_ptx.py LIBNVRTC INCLUDE_DIR [ARCH]."""

import ctypes
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(library, include, arch="compute_80"):
    nvrtc = ctypes.CDLL(library)
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    program = ctypes.c_void_p()
    source = (HERE / "kernels.cu").read_bytes()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None)
    options = [f"--gpu-architecture={arch}", f"--include-path={include}", "--std=c++14", "-default-device"]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options)))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    print(log.value.decode())
    if code:
        raise SystemExit(nvrtc.nvrtcGetErrorString(code).decode())
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, ptx)
    (HERE / "kernels.ptx").write_bytes(ptx.value)
    print(f"kernels.ptx: {len(ptx.value):,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
