//! Runs workloads across interpreters and tiers, and judges the results.
