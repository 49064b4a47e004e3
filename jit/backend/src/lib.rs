//! The interface between the JIT's front end and its back ends.
