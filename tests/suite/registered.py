"""Makes io_urings that have no number: what io_uring_setup(2) returns is a place among the thread's registered rings.

Usage: registered.py LOG DIR."""

import ctypes
import mmap
import os
import struct
import sys

from by_number import call, finish, mark, tell

NO_MMAP, REGISTERED_FD_ONLY = 1 << 14, 1 << 15


def params(flags):
    """A `struct io_uring_params` with memory for the ring and for its entries (`user_addr` of `sq_off` and `cq_off`)."""
    made = ctypes.create_string_buffer(120)
    struct.pack_into("=I", made, 8, flags)
    for place in 72, 112:
        memory.append(mmap.mmap(-1, mmap.PAGESIZE))
        struct.pack_into("=Q", made, place, ctypes.addressof(ctypes.c_char.from_buffer(memory[-1])))
    return made


memory, skipped = [], []
mark("/sockreel-begin")
for turn in range(3):
    # Descriptors of the same numbers are open: none of them is the ring.
    os.fstat(turn)
    made = call("io_uring_setup", 1, params(NO_MMAP | REGISTERED_FD_ONLY), event="io_uring")
    if made < 0:
        # Linux 6.5 has it.
        skipped.append(f"IORING_SETUP_REGISTERED_FD_ONLY: {os.strerror(-made)}")
        break
    assert made == turn, made
    tell(new_fd=None, kind=None, inode=None, cloexec=None)
# Memory of one's own is what such a ring needs.
assert call("io_uring_setup", 1, params(REGISTERED_FD_ONLY), event="io_uring", new_fd=None) < 0
ring = call("io_uring_setup", 1, ctypes.create_string_buffer(120), event="io_uring", kind="io_uring")
tell(new_fd=ring, inode=os.fstat(ring).st_ino, cloexec=True)
mark("/sockreel-end")
finish(sys.argv[1], skipped=skipped)
