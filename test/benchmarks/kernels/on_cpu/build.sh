#!/bin/bash
# libcuda stand-in: on_cpu/libcuda.so, with misaligned accesses made fatal.
cd "$(dirname "$0")" && g++ -std=c++17 -O1 -g -fPIC -shared -fno-strict-aliasing -ffp-contract=off -I. -x c++ driver.cpp \
  -fsanitize=alignment -fno-sanitize-recover=alignment -static-libubsan -o libcuda.so -Wno-unused-variable "$@"
