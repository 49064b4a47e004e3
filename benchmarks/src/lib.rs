//! Criterion benchmarks of our own code, beside the Python workloads.
