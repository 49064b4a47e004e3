//! From CPython's bytecode and its inline caches to the IR.
