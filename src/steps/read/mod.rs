//! Step 1: bytes become records.
