//! The Python module pepjit: everything that touches CPython.
