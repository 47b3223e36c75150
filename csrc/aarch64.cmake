# Toolchain for 64-bit ARM builds on an x86-64 machine (Debian: g++-aarch64-linux-gnu qemu-user):
# cmake -S csrc -B build-arm -DCMAKE_TOOLCHAIN_FILE=aarch64.cmake -DAUDIOGEN_TESTS=ON; ctest runs the
# tests in QEMU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;/usr/aarch64-linux-gnu)
